//! Looks names up, and lets through only the addresses of the public internet.
//!
//! The addresses it gives are the ones that are connected to: a name that leads elsewhere the next
//! moment leads nowhere.

use std::{io, net::SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tollkeeper_jobs::public_address::is_public;

pub struct PublicOnly;

/// A name all of whose addresses are private.
#[derive(Debug, thiserror::Error)]
#[error("no address is public")]
pub struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            public(found?)
        })
    }
}

fn public(
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let (public, private): (Vec<_>, Vec<_>) = found.partition(|address| is_public(address.ip()));
    match (public.is_empty(), private.is_empty()) {
        (true, true) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        (true, false) => Err(NotPublic.into()),
        _ => Ok(Box::new(public.into_iter())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_only_the_public_ones_are_connected_to() {
        let found = |list: &[&str]| {
            let list: Vec<SocketAddr> = list.iter().map(|text| text.parse().unwrap()).collect();
            public(list.into_iter()).map(Iterator::collect::<Vec<_>>)
        };

        let mixed = found(&["10.0.0.1:0", "8.8.8.8:0", "[::1]:0"]).unwrap();
        assert_eq!(mixed, ["8.8.8.8:0".parse().unwrap()]);
        assert!(found(&["10.0.0.1:0"]).unwrap_err().is::<NotPublic>());
        assert!(!found(&[]).unwrap_err().is::<NotPublic>());
    }
}
