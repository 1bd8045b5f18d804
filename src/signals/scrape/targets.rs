//! Which pages there are to read: one for each running container of a service,
//! at the container's own address.

use std::net::{IpAddr, Ipv4Addr};

use rollbackd_core::revision::ContainerState;
use url::{Host, Url};

use crate::docker::container::Container;

/// A page to read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// The same for the same page: the container's ID, or the URL.
    pub(super) id: String,
    /// What people call it: the container's name, or the URL's host and port.
    pub(super) name: String,
    /// Where it is.
    pub(super) url: Url,
    by_container: bool,
}

impl Target {
    /// One page that the user named.
    pub(super) fn page(url: Url) -> Self {
        let name = crate::host::http::place(&url);
        Self { id: url.as_str().to_owned(), name, url, by_container: false }
    }

    /// What a person may do when it cannot be reached.
    pub(super) fn hint(&self) -> &'static str {
        if self.by_container {
            "; if this machine cannot reach the container's own address, publish the port and \
             write `url`"
        } else {
            ""
        }
    }
}

/// The pages of a service's running containers.
///
/// # Errors
/// A sentence that says why there is none.
pub(super) fn targets(
    all: &[Container],
    service: &str,
    port: u16,
    path: &str,
) -> Result<Vec<Target>, String> {
    let of_service = |container: &&Container| {
        !container.one_off && container.service.as_ref().is_some_and(|own| own.as_str() == service)
    };
    let running: Vec<_> = all
        .iter()
        .filter(of_service)
        .filter(|container| container.state == ContainerState::Running)
        .collect();
    if running.is_empty() {
        let some = if all.iter().any(|container| of_service(&container)) { "running " } else { "" };
        return Err(format!("the service `{service}` has no {some}container to read a page of"));
    }
    let found: Vec<_> = running
        .iter()
        .filter_map(|container| {
            let address = address(container, all, 0)?;
            let url = url(address, port, path)?;
            let (id, name) = (container.id.as_str().to_owned(), container.name.clone());
            Some(Target { id, name, url, by_container: true })
        })
        .collect();
    if found.is_empty() {
        return Err(format!(
            "no container of `{service}` has an address of its own: publish the port and write \
             `url` instead of `service` and `port`"
        ));
    }
    Ok(found)
}

/// Where a container can be reached from this machine: IPv4 first. One that
/// shares another's network has that one's address.
fn address(container: &Container, all: &[Container], depth: u8) -> Option<IpAddr> {
    let addresses = &container.addresses;
    if let Some(own) = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()) {
        return Some(*own);
    }
    let mode = container.document["HostConfig"]["NetworkMode"].as_str()?;
    if mode == "host" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let of = mode.strip_prefix("container:").filter(|_| depth < 3)?;
    let other = all.iter().find(|other| other.id.as_str() == of || other.name == of)?;
    address(other, all, depth + 1)
}

fn url(address: IpAddr, port: u16, path: &str) -> Option<Url> {
    let host = match address {
        IpAddr::V4(address) => Host::<&str>::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("http://{host}:{port}{slash}{path}").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(name: &str, state: &str, network: &Value, mode: &str) -> Container {
        let document = json!({
            "Id": format!("id-{name}"), "Name": format!("/{name}"), "Image": "",
            "Config": { "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": "web",
                "com.docker.compose.oneoff": "False",
            } },
            "State": { "Status": state, "Running": state == "running" },
            "HostConfig": { "NetworkMode": mode },
            "NetworkSettings": { "Networks": network },
        });
        Container::read(document).unwrap()
    }

    fn at(address: &str) -> Value {
        json!({ "shop_default": { "IPAddress": address } })
    }

    fn urls(all: &[Container]) -> Result<Vec<String>, String> {
        let found = targets(all, "web", 3000, "/metrics?all=1")?;
        Ok(found.iter().map(|target| target.url.to_string()).collect())
    }

    #[test]
    fn every_running_container_is_a_page_at_its_own_address() {
        let all = [
            container("web-1", "running", &at("172.18.0.2"), "shop_default"),
            container("web-2", "running", &at("172.18.0.3"), "shop_default"),
            container("web-3", "exited", &at(""), "shop_default"),
        ];
        let expected =
            ["http://172.18.0.2:3000/metrics?all=1", "http://172.18.0.3:3000/metrics?all=1"];
        assert_eq!(urls(&all).unwrap(), expected);
    }

    #[test]
    fn a_container_in_the_hosts_or_anothers_network_has_that_ones_address() {
        let mut other = container("db-1", "running", &at("172.18.0.9"), "shop_default");
        other.service = Some("db".into());
        let all = [
            container("web-1", "running", &json!({}), "host"),
            container("web-2", "running", &json!({}), "container:id-db-1"),
            container("web-3", "running", &json!({}), "container:id-web-3"),
            other,
        ];
        let expected =
            ["http://127.0.0.1:3000/metrics?all=1", "http://172.18.0.9:3000/metrics?all=1"];
        assert_eq!(urls(&all).unwrap(), expected);
    }

    #[test]
    fn no_page_to_read_says_why() {
        let none = container("web-1", "running", &json!({}), "none");
        let stopped = container("web-1", "exited", &json!({}), "shop_default");
        insta::assert_snapshot!(urls(&[]).unwrap_err(), @"the service `web` has no container to read a page of");
        insta::assert_snapshot!(urls(&[stopped]).unwrap_err(), @"the service `web` has no running container to read a page of");
        insta::assert_snapshot!(urls(&[none]).unwrap_err(), @"no container of `web` has an address of its own: publish the port and write `url` instead of `service` and `port`");
    }
}
