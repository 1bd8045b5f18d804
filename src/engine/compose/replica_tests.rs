use serde_json::json;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ANONYMOUS: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TODAYS: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn image(digit: char) -> ImageId {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

/// A recorded container, as Compose v2 makes one.
fn record() -> Value {
    json!({
        "Id": ID, "Name": "/shop-web-1", "Image": image('1').to_string(),
        "Config": {
            "Hostname": &ID[..12], "Image": "shop-web:latest", "Env": ["A=1"],
            "ExposedPorts": { "80/tcp": {} }, "Labels": { "com.docker.compose.service": "web" },
        },
        "HostConfig": { "NetworkMode": "shop_default", "Binds": null, "IpcMode": "private" },
        "Mounts": [],
        "NetworkSettings": { "Networks": {
            "shop_back": {
                "IPAMConfig": { "IPv4Address": "10.1.0.7" }, "IPAddress": "10.1.0.7",
                "Aliases": ["web", &ID[..12]], "MacAddress": "02:42:0a:01:00:07",
                "Gateway": "10.1.0.1", "EndpointID": "e", "Links": null,
            },
            "shop_default": {
                "IPAMConfig": null, "IPAddress": "172.20.0.3", "Aliases": ["shop-web-1", "web"],
                "MacAddress": "02:42:ac:14:00:03", "NetworkID": "n", "DriverOpts": null,
            },
        }},
    })
}

fn made(record: &Value, present: Option<&Value>, successors: &[(&str, &str)]) -> Replica {
    let successors = successors
        .iter()
        .map(|(from, to)| (ContainerId::new(*from), ContainerId::new(*to)))
        .collect();
    let (image, named_now) = (image('1'), Some(image('1')));
    Original { record, present, successors: &successors, image, named_now }.replica()
}

#[test]
fn the_request_is_the_record_without_what_the_engine_makes_up() {
    let replica = made(&record(), None, &[]);
    assert_eq!(replica.name, "shop-web-1");
    assert_eq!(replica.body["Hostname"], "");
    assert_eq!(replica.body["Env"], json!(["A=1"]));
    assert_eq!(
        replica.body["NetworkingConfig"],
        json!({ "EndpointsConfig": { "shop_default": { "Aliases": ["shop-web-1", "web"] } } })
    );
    let fixed = json!({ "Aliases": ["web"], "IPAMConfig": { "IPv4Address": "10.1.0.7" } });
    assert_eq!(replica.networks, [("shop_back".to_owned(), fixed)]);
}

#[test]
fn a_host_name_of_ones_own_is_kept() {
    let mut record = record();
    record["Config"]["Hostname"] = json!("shopfront");
    assert_eq!(made(&record, None, &[]).body["Hostname"], "shopfront");
}

#[test]
fn the_reference_is_kept_where_it_names_the_image_and_the_id_is_taken_where_not() {
    let record = record();
    let successors = BTreeMap::new();
    let named = |named_now| {
        let original = Original {
            record: &record,
            present: None,
            successors: &successors,
            image: image('1'),
            named_now,
        };
        original.replica().body["Image"].clone()
    };
    assert_eq!(named(Some(image('1'))), "shop-web:latest");
    assert_eq!(named(Some(image('2'))), image('1').to_string());
    assert_eq!(named(None), image('1').to_string());
}

#[test]
fn an_anonymous_volume_is_the_one_that_is_used_now() {
    let mut record = record();
    record["Config"]["Volumes"] = json!({ "/data": {} });
    record["Mounts"] = json!([{ "Type": "volume", "Name": ANONYMOUS, "Destination": "/data",
        "Mode": "", "RW": true }]);
    let present =
        json!({ "Mounts": [{ "Type": "volume", "Name": TODAYS, "Destination": "/data" }] });
    let binds = |present| made(&record, present, &[]).body["HostConfig"]["Binds"].clone();
    assert_eq!(binds(Some(&present)), json!([format!("{TODAYS}:/data:rw")]));
    assert_eq!(binds(None), json!([format!("{ANONYMOUS}:/data:rw")]));
    let elsewhere =
        json!({ "Mounts": [{ "Type": "volume", "Name": TODAYS, "Destination": "/other" }] });
    assert_eq!(binds(Some(&elsewhere)), json!([format!("{ANONYMOUS}:/data:rw")]));
    // One that was bound by name before is not bound twice.
    record["HostConfig"]["Binds"] = json!([format!("{ANONYMOUS}:/data:rw"), "/srv:/srv:ro"]);
    record["Mounts"][0]["Mode"] = json!("rw");
    let again = made(&record, Some(&present), &[]).body["HostConfig"]["Binds"].clone();
    assert_eq!(again, json!(["/srv:/srv:ro", format!("{TODAYS}:/data:rw")]));
}

#[test]
fn an_anonymous_volume_of_the_long_form_gets_its_name_there() {
    let mut record = record();
    record["HostConfig"]["Mounts"] = json!([{ "Type": "volume", "Target": "/data" }]);
    record["Mounts"] = json!([{ "Type": "volume", "Name": ANONYMOUS, "Destination": "/data",
        "Mode": "z", "RW": true }]);
    let host = made(&record, None, &[]).body["HostConfig"].clone();
    assert_eq!(
        host["Mounts"],
        json!([{ "Type": "volume", "Target": "/data", "Source": ANONYMOUS }])
    );
    assert_eq!(host["Binds"], Value::Null);
}

#[test]
fn a_named_volume_is_left_as_it_was_asked_for() {
    let mut record = record();
    record["HostConfig"]["Binds"] = json!(["shop_data:/data:rw"]);
    record["Mounts"] = json!([{ "Type": "volume", "Name": "shop_data", "Destination": "/data" }]);
    let present =
        json!({ "Mounts": [{ "Type": "volume", "Name": TODAYS, "Destination": "/data" }] });
    let host = made(&record, Some(&present), &[]).body["HostConfig"].clone();
    assert_eq!(host["Binds"], json!(["shop_data:/data:rw"]));
}

#[test]
fn what_joins_another_names_its_successor_and_states_no_name_of_its_own() {
    let mut record = record();
    record["HostConfig"]["NetworkMode"] = json!("container:old");
    record["HostConfig"]["PidMode"] = json!("container:other");
    record["HostConfig"]["VolumesFrom"] = json!(["old:ro"]);
    record["Config"]["Hostname"] = json!("of-the-joined");
    let replica = made(&record, None, &[("old", "new")]);
    let host = &replica.body["HostConfig"];
    assert_eq!(host["NetworkMode"], "container:new");
    assert_eq!(host["PidMode"], "container:other");
    assert_eq!(host["VolumesFrom"], json!(["new:ro"]));
    assert_eq!(replica.body["Hostname"], "");
    assert_eq!(replica.body.get("ExposedPorts"), None);
    assert_eq!(replica.body.get("NetworkingConfig"), None);
    assert_eq!(replica.networks, []);
}

#[test]
fn an_address_of_the_network_card_is_kept_only_where_somebody_chose_it() {
    let mut record = record();
    let mac = |record: &Value| {
        made(record, None, &[]).body["NetworkingConfig"]["EndpointsConfig"]["shop_default"]
            .get("MacAddress")
            .cloned()
    };
    assert_eq!(mac(&record), None);
    record["Config"]["MacAddress"] = json!("02:42:ac:14:00:03");
    assert_eq!(mac(&record), Some(json!("02:42:ac:14:00:03")));
}

#[test]
fn links_are_asked_for_in_the_form_of_a_request() {
    let mut record = record();
    record["HostConfig"]["Links"] = json!(["/shop_db_1:/shop_web_1/db"]);
    let host = made(&record, None, &[]).body["HostConfig"].clone();
    assert_eq!(host["Links"], json!(["shop_db_1:db"]));
}

#[test]
fn a_replica_of_a_replica_in_preparation_has_its_own_name() {
    let mut record = record();
    record["Name"] = json!("/shop-web-1.rollbackd-7.old");
    assert_eq!(made(&record, None, &[]).name, "shop-web-1");
}
