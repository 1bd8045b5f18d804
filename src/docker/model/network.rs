//! The model's networks, addresses and host ports.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::world::{Made, Refusal, World};

/// First port of those that the engine hands out.
const FIRST_FREE: u16 = 32768;

/// A network.
pub(super) struct Net {
    pub(super) id: String,
    /// The first of its addresses.
    subnet: Ipv4Addr,
    /// A person said which: only then an address can be asked for.
    chosen: bool,
}

/// What a container has to do with a network.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) aliases: Value,
    pub(super) ipam: Value,
    pub(super) links: Value,
    pub(super) driver: Value,
    /// Set while it runs.
    pub(super) address: Option<Ipv4Addr>,
    /// Set from the first start on.
    pub(super) network: Option<String>,
}

/// A port of the host that a container publishes while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// As `80/tcp`.
    pub(super) inside: String,
    pub(super) address: String,
    pub(super) port: u16,
}

impl Endpoint {
    /// From the API's endpoint settings.
    pub(super) fn read(settings: &Value) -> Self {
        Self {
            aliases: settings["Aliases"].clone(),
            ipam: settings["IPAMConfig"].clone(),
            links: settings["Links"].clone(),
            driver: settings["DriverOpts"].clone(),
            address: None,
            network: None,
        }
    }

    /// As the API's endpoint settings, without the alias that a container of
    /// this ID got from the engine.
    pub(super) fn settings(&self, id: &str) -> Value {
        let mut aliases = self.aliases.as_array().cloned().unwrap_or_default();
        aliases.retain(|alias| !alias.as_str().is_some_and(|alias| id.starts_with(alias)));
        json!({ "Aliases": aliases, "IPAMConfig": self.ipam, "Links": self.links,
            "DriverOpts": self.driver })
    }

    fn add_alias(&mut self, alias: &str) {
        let mut aliases = self.aliases.as_array().cloned().unwrap_or_default();
        if !aliases.iter().any(|one| one == alias) {
            aliases.push(alias.into());
        }
        self.aliases = aliases.into();
    }
}

/// The networks that the engine makes itself know no aliases.
fn is_own(network: &str) -> bool {
    matches!(network, "bridge" | "host" | "none" | "default")
}

impl World {
    /// Makes a network, with a subnet of a person's choice or the next free
    /// one; one that is there is left alone.
    pub(super) fn add_network(&mut self, name: &str, subnet: Option<Ipv4Addr>) {
        if self.networks.contains_key(name) {
            return;
        }
        let next = u8::try_from(17 + self.networks.len()).unwrap_or(u8::MAX);
        let (id, chosen) = (self.identity(), subnet.is_some());
        let subnet = subnet.unwrap_or(Ipv4Addr::new(172, next, 0, 0));
        self.networks.insert(name.to_owned(), Net { id, subnet, chosen });
    }

    /// A network's name, from name or ID.
    pub(super) fn find_network(&self, name_or_id: &str) -> Result<String, Refusal> {
        let named = self.networks.contains_key(name_or_id).then(|| name_or_id.to_owned());
        let by_id = || {
            self.networks.iter().find(|(_, net)| net.id == name_or_id).map(|(name, _)| name.clone())
        };
        named.or_else(by_id).ok_or_else(|| (404, format!("network {name_or_id} not found")))
    }

    pub(super) fn connect(&mut self, network: &str, body: &Value) -> Result<(), Refusal> {
        let at = self.index(body["Container"].as_str().unwrap_or_default())?;
        let network = self.find_network(network)?;
        let up = self.containers[at].is_up();
        if up && self.containers[at].endpoints.contains_key(&network) {
            let name = &self.containers[at].name;
            let why = format!("endpoint with name {name} already exists in network {network}");
            return Err((403, why));
        }
        let mut endpoint = Endpoint::read(&body["EndpointConfig"]);
        self.may_ask(&network, &endpoint)?;
        if !is_own(&network) {
            endpoint.add_alias(self.containers[at].short());
        }
        self.containers[at].endpoints.insert(network, endpoint);
        if up { self.join_networks(at) } else { Ok(()) }
    }

    pub(super) fn disconnect(&mut self, network: &str, body: &Value) -> Result<(), Refusal> {
        let at = self.index(body["Container"].as_str().unwrap_or_default())?;
        let network = self.find_network(network)?;
        let made = &mut self.containers[at];
        if made.endpoints.remove(&network).is_none() {
            let why = format!("container {} is not connected to the network {network}", made.id);
            return Err((500, why));
        }
        Ok(())
    }

    /// An address can be asked for only where a person chose the subnet.
    fn may_ask(&self, network: &str, endpoint: &Endpoint) -> Result<(), Refusal> {
        let asks = endpoint.ipam["IPv4Address"].as_str().is_some_and(|text| !text.is_empty());
        if asks && !self.networks.get(network).is_some_and(|net| net.chosen) {
            let why = "user specified IP address is supported only when connecting to networks with user configured subnets";
            return Err((400, why.to_owned()));
        }
        Ok(())
    }

    /// Gives a container its addresses.
    pub(super) fn join_networks(&mut self, at: usize) -> Result<(), Refusal> {
        let names: Vec<String> = self.containers[at].endpoints.keys().cloned().collect();
        for name in names {
            let Some(net) = self.networks.get(&name) else {
                return Err((404, format!("network {name} not found")));
            };
            let (id, subnet) = (net.id.clone(), net.subnet);
            self.may_ask(&name, &self.containers[at].endpoints[&name])?;
            let asked = self.containers[at].endpoints[&name].ipam["IPv4Address"].as_str();
            let address = match asked.and_then(|text| text.parse().ok()) {
                Some(fixed) if self.is_taken(at, fixed) => {
                    return Err((403, "Address already in use".to_owned()));
                }
                Some(fixed) => Some(fixed),
                None if matches!(name.as_str(), "host" | "none") => None,
                None => self.free_address(at, subnet),
            };
            let short = self.containers[at].short().to_owned();
            if let Some(endpoint) = self.containers[at].endpoints.get_mut(&name) {
                endpoint.network = Some(id);
                endpoint.address = address;
                if !is_own(&name) {
                    endpoint.add_alias(&short);
                }
            }
        }
        Ok(())
    }

    fn is_taken(&self, at: usize, address: Ipv4Addr) -> bool {
        let others = self.containers.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .flat_map(|(_, made)| made.endpoints.values())
            .any(|endpoint| endpoint.address == Some(address))
    }

    /// The first address of a subnet that nobody has, after the gateway's.
    fn free_address(&self, at: usize, subnet: Ipv4Addr) -> Option<Ipv4Addr> {
        let mut all =
            (2..u32::from(u16::MAX)).map(|host| Ipv4Addr::from_bits(subnet.to_bits() + host));
        all.find(|address| !self.is_taken(at, *address))
    }

    /// Binds the ports that a container publishes, all or none.
    pub(super) fn bind_ports(&mut self, at: usize) -> Result<(), Refusal> {
        let mut bound: Vec<Bound> = Vec::new();
        let wanted = self.containers[at].host["PortBindings"].clone();
        for (inside, places) in wanted.as_object().into_iter().flatten() {
            for place in places.as_array().into_iter().flatten() {
                let address = place["HostIp"].as_str().filter(|text| !text.is_empty());
                let address = address.unwrap_or("0.0.0.0").to_owned();
                let asked = place["HostPort"].as_str().and_then(|port| port.parse().ok());
                let port = match asked.filter(|port| *port != 0) {
                    Some(port) => self.may_bind(at, &address, port).map(|()| port)?,
                    None => self.free_port(&address, &bound),
                };
                bound.push(Bound { inside: inside.clone(), address, port });
            }
        }
        self.containers[at].bound = bound;
        Ok(())
    }

    fn may_bind(&self, at: usize, address: &str, port: u16) -> Result<(), Refusal> {
        let Made { name, id, .. } = &self.containers[at];
        let began =
            format!("driver failed programming external connectivity on endpoint {name} ({id})");
        if self.is_bound(address, port) {
            return Err((
                500,
                format!("{began}: Bind for {address}:{port} failed: port is already allocated"),
            ));
        }
        if self.foreign_ports.contains(&port) {
            return Err((
                500,
                format!(
                    "{began}: Error starting userland proxy: listen tcp4 {address}:{port}: bind: address already in use"
                ),
            ));
        }
        Ok(())
    }

    fn is_bound(&self, address: &str, port: u16) -> bool {
        let any = |address: &str| address == "0.0.0.0";
        self.containers.iter().flat_map(|made| &made.bound).any(|bound| {
            bound.port == port && (bound.address == address || any(address) || any(&bound.address))
        })
    }

    fn free_port(&self, address: &str, also: &[Bound]) -> u16 {
        (FIRST_FREE..u16::MAX)
            .find(|port| {
                !self.is_bound(address, *port)
                    && !self.foreign_ports.contains(port)
                    && also.iter().all(|bound| bound.port != *port)
            })
            .unwrap_or(FIRST_FREE)
    }

    /// Takes a container's addresses and ports away.
    pub(super) fn leave_networks(&mut self, at: usize) {
        let made = &mut self.containers[at];
        made.bound.clear();
        for endpoint in made.endpoints.values_mut() {
            endpoint.address = None;
        }
    }
}

impl Made {
    /// `NetworkSettings.Networks`.
    pub(super) fn networks(&self) -> Value {
        let entries = self.endpoints.iter().map(|(name, endpoint)| {
            let address = endpoint.address.map(|address| address.to_string()).unwrap_or_default();
            let length = if address.is_empty() { 0 } else { 16 };
            let entry = json!({
                "IPAMConfig": endpoint.ipam, "Links": endpoint.links, "Aliases": endpoint.aliases,
                "NetworkID": endpoint.network.clone().unwrap_or_default(), "EndpointID": "",
                "Gateway": "", "IPAddress": address, "IPPrefixLen": length, "IPv6Gateway": "",
                "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "",
                "DriverOpts": endpoint.driver,
            });
            (name.clone(), entry)
        });
        Value::Object(entries.collect())
    }

    /// `NetworkSettings.Ports`.
    pub(super) fn ports(&self) -> Value {
        let mut ports = serde_json::Map::new();
        for bound in &self.bound {
            let place = json!({ "HostIp": bound.address, "HostPort": bound.port.to_string() });
            let places = ports.entry(bound.inside.clone()).or_insert_with(|| json!([]));
            if let Some(places) = places.as_array_mut() {
                places.push(place);
            }
        }
        Value::Object(ports)
    }
}
