//! Whether the host's ports that a container needs are free: asked before
//! anything is stopped, because a start that fails for a port is an outage.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
};

use super::document::HostPort;

/// The first of these ports that is taken by somebody other than a container
/// that holds `ours`. What cannot be tried (a foreign address, another
/// protocol) counts as free: the start will tell.
pub(super) fn first_taken<'a>(wanted: &'a [HostPort], ours: &[HostPort]) -> Option<&'a HostPort> {
    wanted.iter().filter(|port| !ours.iter().any(|held| covers(held, port))).find(|port| {
        let address = port.address.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let tried = match port.protocol.as_str() {
            "tcp" => TcpListener::bind((address, port.port)).map(drop),
            "udp" => UdpSocket::bind((address, port.port)).map(drop),
            _ => Ok(()),
        };
        tried.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    })
}

/// Does holding one port keep others from the other?
fn covers(held: &HostPort, port: &HostPort) -> bool {
    let everywhere = held.address.is_empty() || port.address.is_empty();
    held.port == port.port
        && held.protocol == port.protocol
        && (everywhere || held.address == port.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(address: &str, port: u16) -> HostPort {
        HostPort { protocol: "tcp".into(), address: address.into(), port }
    }

    #[test]
    fn a_port_that_another_process_has_is_taken() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = other.local_addr().unwrap().port();
        let wanted = [port("127.0.0.1", number)];
        assert_eq!(first_taken(&wanted, &[]), Some(&wanted[0]));
        let everywhere = [port("", number)];
        assert_eq!(first_taken(&everywhere, &[]), Some(&everywhere[0]));
        drop(other);
        assert_eq!(first_taken(&wanted, &[]), None);
    }

    #[test]
    fn a_port_that_what_is_replaced_has_is_free() {
        let ours = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = ours.local_addr().unwrap().port();
        let wanted = [port("127.0.0.1", number)];
        assert_eq!(first_taken(&wanted, &[port("", number)]), None);
        assert_eq!(first_taken(&wanted, &[port("127.0.0.2", number)]), Some(&wanted[0]));
    }
}
