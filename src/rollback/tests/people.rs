//! What a person deploys in the middle of a rollback is theirs: it is neither
//! replaced nor removed.

use super::*;

#[test]
fn what_a_person_deployed_meanwhile_is_not_replaced_however_far_the_step_had_come() {
    for begun in [false, true] {
        let mut shop = shop(Behaviour::Runs, |_| web());
        let v2 = shop.house.record("web");
        let mut does = shop.back(Order::StopFirst);
        let Does::Recreate { replaces, .. } = &mut does else { panic!("{does:?}") };
        *replaces = Some(Replaced { image: v2.image_id, containers: v2.containers });
        let v3 = shop.house.model.import("shop-web:latest", Behaviour::Runs);
        shop.images.push(("v3", v3));
        if begun {
            shop.house.done(does.clone());
            shop.house.replace("shop-web-1", v3);
        } else {
            shop.house.model.up(&web()).unwrap();
        }
        let before = shop.all();
        assert!(before.iter().any(|one| one.ends_with("v3 running")), "{before:?}");
        let (why, fault) = shop.house.failed(does);
        assert_eq!(fault, Fault::World, "no mark against the target");
        assert!(why.starts_with("somebody deployed shop-web-1 meanwhile"), "{why}");
        assert_eq!(shop.all(), before);
    }
}

/// A person deploys in the same second, and nobody has looked at it yet.
#[test]
fn what_a_person_deployed_meanwhile_is_not_removed_by_a_put_back_however_far_it_had_come() {
    let make = || {
        let mut shop = shop(Behaviour::Runs, |_| web());
        shop.house.done(shop.back(Order::StopFirst));
        let v3 = shop.house.model.import("shop-web:latest", Behaviour::Runs);
        shop.images.push(("v3", v3));
        (shop, v3)
    };
    let total = boundaries(|| (make().0.house, put_back()));
    assert!(total >= 8, "{total}");
    for n in 1..=total {
        let (shop, v3) = make();
        assert_eq!(shop.house.run_dying(&put_back(), n), None, "boundary {n}");
        shop.house.replace("shop-web-1", v3);
        let theirs = shop.house.model.id("shop-web-1");
        if shop.house.model.names().len() > 1 {
            let (why, fault) = shop.house.failed(put_back());
            assert_eq!(fault, Fault::World, "boundary {n}: no mark against the target");
            assert!(why.starts_with("somebody deployed shop-web-1 meanwhile"), "{n}: {why}");
        } else {
            // It had come to its end before.
            shop.house.done(put_back());
        }
        assert_eq!(shop.house.model.id("shop-web-1"), theirs, "boundary {n}");
        let mut running = shop.all();
        running.retain(|one| one.ends_with("running"));
        assert_eq!(running, ["shop-web-1 v3 running"], "boundary {n}");
    }
}

#[test]
fn what_a_person_deployed_under_the_name_just_before_it_is_given_back_stays_alone() {
    let shop = shop(Behaviour::Runs, |_| web());
    shop.house.done(shop.back(Order::StopFirst));
    let total = boundaries(|| {
        let shop = self::shop(Behaviour::Runs, |_| web());
        shop.house.done(shop.back(Order::StopFirst));
        (shop.house, put_back())
    });
    // The last change is the name.
    assert_eq!(shop.house.run_dying(&put_back(), total - 1), None);
    assert_eq!(shop.all(), ["shop-web-1.rollbackd-7.old v2 running"]);
    let body = json!({ "Image": "shop-web:latest" });
    let docker = Docker::model(shop.house.model.clone());
    let theirs = shop.house.runtime.block_on(docker.create("shop-web-1", &body)).unwrap();
    let (why, fault) = shop.house.failed(put_back());
    assert_eq!(fault, Fault::World);
    assert!(why.starts_with("somebody deployed shop-web-1 meanwhile"), "{why}");
    assert_eq!(shop.house.model.id("shop-web-1"), Some(theirs));
    assert_eq!(shop.house.state("shop-web-1.rollbackd-7.old"), "exited");
    assert_eq!(shop.house.policy("shop-web-1.rollbackd-7.old"), "no");
}
