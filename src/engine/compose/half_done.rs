//! What a Compose that was killed leaves: two containers of one number, one of
//! them under a name that was meant for a moment. Left so, the next `up` fails
//! with a conflict of names. It is put in order before Compose runs again: what
//! was made is removed while the original is there, and takes the original's
//! name where that is gone.

use rollbackd_core::{
    plan::Replaced,
    revision::ContainerState,
    words::{ContainerId, ServiceName},
};

use super::{
    Compose, Errand, names,
    slots::{Slot, slots},
};
use crate::{docker::container::Container, engine::error::EngineError};

/// What has to happen with one container.
#[derive(Debug)]
enum Order<'a> {
    Remove(&'a Container),
    Rename(&'a Container, &'a str),
}

impl Compose {
    /// Puts the numbers of a service in order.
    pub(super) async fn tidy_half_done(
        &self,
        errand: Errand<'_>,
        service: &ServiceName,
        replaces: &Replaced,
    ) -> Result<(), EngineError> {
        let containers = self.docker.containers(errand.project).await?;
        for slot in slots(&containers, service, errand.incident).into_values() {
            for order in orders(&slot, &replaces.containers) {
                match order {
                    Order::Remove(container) => {
                        self.docker.remove(&container.id, false, true).await?;
                    }
                    Order::Rename(container, name) => {
                        self.docker.rename(&container.id, name).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// For one number, in the order in which it must be done. What runs is never
/// removed.
fn orders<'a>(slot: &Slot<'a>, originals: &[ContainerId]) -> Vec<Order<'a>> {
    let is_original = |one: &&Container| originals.contains(&one.id);
    let runs = |one: &Container| one.state == ContainerState::Running;
    let (there, made): (Vec<&Container>, Vec<&Container>) = slot.named().partition(is_original);
    let serves = made.iter().any(|one| runs(one));
    let mut orders = Vec::new();
    let kept: Vec<&Container> = if there.is_empty() {
        made
    } else if serves {
        // The new one runs: what it replaced was only not removed yet.
        orders.extend(there.iter().filter(|one| !runs(one)).map(|one| Order::Remove(one)));
        made
    } else {
        orders.extend(made.iter().map(|one| Order::Remove(one)));
        there
    };
    if let [only] = kept[..]
        && let Some(name) = meant(only)
    {
        orders.push(Order::Rename(only, name));
    }
    orders
}

/// The name that a container shall have in the end, where it has Compose's for
/// the moment: `0a1b2c3d4e5f_shop-web-1`.
fn meant(container: &Container) -> Option<&str> {
    let (id, name) = container.name.split_once('_')?;
    let is_id = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && names::parse(name).is_none()).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(id: &str, name: &str, status: &str) -> Container {
        let labels = json!({
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "1",
        });
        let state = json!({ "Status": status, "Running": status == "running" });
        let config = json!({ "Labels": labels });
        Container::read(
            json!({ "Id": id, "Name": format!("/{name}"), "State": state, "Config": config }),
        )
        .unwrap()
    }

    fn ordered(containers: &[Container]) -> Vec<String> {
        let slots = slots(containers, &"web".into(), rollbackd_core::words::IncidentId(7));
        let orders = slots.values().flat_map(|slot| orders(slot, &[ContainerId::new("old")]));
        orders
            .map(|order| match order {
                Order::Remove(one) => format!("remove {}", one.id),
                Order::Rename(one, name) => format!("{} is {name}", one.id),
            })
            .collect()
    }

    const TEMPORARY: &str = "0123456789ab_shop-web-1";

    #[test]
    fn killed_after_it_created_the_new_one_is_removed() {
        let both =
            [container("old", "shop-web-1", "running"), container("new", TEMPORARY, "created")];
        assert_eq!(ordered(&both), ["remove new"]);
    }

    #[test]
    fn killed_after_it_removed_the_old_one_the_new_one_takes_its_name() {
        assert_eq!(ordered(&[container("new", TEMPORARY, "created")]), ["new is shop-web-1"]);
        assert!(ordered(&[container("new", "shop-web-1", "created")]).is_empty());
    }

    #[test]
    fn killed_after_it_renamed_the_old_one_that_has_its_name_again() {
        assert_eq!(ordered(&[container("old", TEMPORARY, "exited")]), ["old is shop-web-1"]);
        let both =
            [container("old", TEMPORARY, "exited"), container("new", "shop-web-1", "created")];
        assert_eq!(ordered(&both), ["remove new", "old is shop-web-1"]);
    }

    #[test]
    fn killed_before_it_removed_the_old_one_that_goes() {
        let both =
            [container("old", TEMPORARY, "exited"), container("new", "shop-web-1", "running")];
        assert_eq!(ordered(&both), ["remove old"]);
    }

    #[test]
    fn what_nobody_interrupted_is_left_alone() {
        assert!(ordered(&[container("old", "shop-web-1", "running")]).is_empty());
        assert!(ordered(&[container("new", "shop-web-1", "running")]).is_empty());
    }
}
