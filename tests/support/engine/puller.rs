//! A tool that keeps containers up to date by itself, as Watchtower does it:
//! pull what the container was started by; where that brought another image,
//! stop, remove and create it again with its own configuration, without what
//! the old image had added, in all its networks. Compose is not asked.

use rollbackd::docker::{Docker, container::Container};
use rollbackd_core::words::ContainerId;
use serde_json::{Map, Value, json};

use super::docker;

/// Brings a container up to date; `None` where it is.
pub async fn update(engine: &Docker, name: &str) -> Option<ContainerId> {
    let old = engine.container(name).await.expect("it answers").expect("it is there");
    let image = old.document["Image"].as_str().expect("it has an image");
    let before = image_config(image);
    docker(&["pull", "-q", &old.image]);
    let now = engine.image(&old.image).await.expect("it answers").expect("it was pulled");
    if Some(now.id) == old.image_id {
        return None;
    }
    let (body, further) = request(&old, &before);
    engine.stop(&old.id, old.stop_grace()).await.expect("it stops");
    engine.remove(&old.id, false, true).await.expect("it is removed");
    let id = engine.create(&old.name, &body).await.expect("it can be created");
    for (network, endpoint) in further {
        engine.connect_network(&network, &id, &endpoint).await.expect("it can be connected");
    }
    engine.start(&id).await.expect("it starts");
    Some(id)
}

fn image_config(image: &str) -> Value {
    let text = docker(&["image", "inspect", "-f", "{{json .Config}}", image]);
    serde_json::from_str(&text).expect("it is JSON")
}

/// What it is created from, with its first network, and the further ones.
fn request(old: &Container, image: &Value) -> (Value, Vec<(String, Value)>) {
    let mut body = old.document["Config"].clone();
    for field in ["WorkingDir", "User", "Cmd", "Entrypoint", "Healthcheck", "Volumes"] {
        if body[field] == image[field] {
            body[field] = Value::Null;
        }
    }
    if let Some(variables) = body["Env"].as_array_mut() {
        let from_image = image["Env"].as_array().cloned().unwrap_or_default();
        variables.retain(|variable| !from_image.contains(variable));
    }
    if let Some(labels) = body["Labels"].as_object_mut() {
        labels.retain(|name, value| image["Labels"][name.as_str()] != *value);
    }
    body["HostConfig"] = old.document["HostConfig"].clone();
    let networks = old.document["NetworkSettings"]["Networks"].as_object();
    let endpoint = |(name, was): (&String, &Value)| {
        let mut aliases = was["Aliases"].as_array().cloned().unwrap_or_default();
        aliases.retain(|alias| !alias.as_str().is_some_and(|one| old.id.as_str().starts_with(one)));
        (name.clone(), json!({ "Aliases": aliases, "IPAMConfig": was["IPAMConfig"] }))
    };
    let mut endpoints = networks.into_iter().flatten().map(endpoint);
    let first: Map<String, Value> = endpoints.next().into_iter().collect();
    body["NetworkingConfig"] = json!({ "EndpointsConfig": first });
    (body, endpoints.collect())
}
