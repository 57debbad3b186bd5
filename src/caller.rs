//! The caller: the network that a request comes from, as far as the limits need to know.
//!
//! Pure. An address is trusted if the platform vouches for it; another header is trusted only if
//! the owner's proxy proves itself by a secret. An address is never stored and never logged: only
//! the name that [`crate::pseudonym`] makes of it is kept.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::pseudonym::{Network, Pseudonyms};

/// The platform overwrites it on every request.
const PLATFORM_HEADER: HeaderName = HeaderName::from_static("x-vercel-forwarded-for");

/// Where an owner's proxy shows its secret.
const PROOF_HEADER: HeaderName = HeaderName::from_static("x-proxy-secret");

/// The owner's proxy in front of the platform.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// The header in which it names the client (`CLIENT_IP_HEADER`).
    pub header: HeaderName,
    /// What it sends as `x-proxy-secret` (`PROXY_SECRET`).
    pub secret: SecretString,
}

/// The address that the platform gives outside the headers, as an extension of the request, or the
/// fact that it gives none. If the extension is present, the platform's header is not trusted.
#[derive(Debug, Clone, Copy)]
pub struct PlatformAddress(pub Option<IpAddr>);

/// The address that a request comes from; `None` if nobody vouches for one.
#[must_use]
pub fn address(
    headers: &HeaderMap,
    platform: Option<PlatformAddress>,
    proxy: Option<&Proxy>,
) -> Option<IpAddr> {
    let proved = proxy.filter(|proxy| {
        let proof = headers.get(PROOF_HEADER).map(HeaderValue::as_bytes);
        proof.is_some_and(|proof| same(proof, proxy.secret.expose_secret().as_bytes()))
    });
    match (proved, platform) {
        // A proxy may append to what the client has sent: the last entry is its own.
        (Some(proxy), _) => {
            let last = headers.get_all(&proxy.header).iter().next_back()?;
            parse(last.to_str().ok()?.rsplit(',').next()?.trim())
        }
        (None, Some(PlatformAddress(address))) => address,
        (None, None) => {
            let value = headers.get(PLATFORM_HEADER)?.to_str().ok()?;
            parse(value.split(',').next()?.trim())
        }
    }
}

/// An address as headers write it, possibly with brackets or a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text
        .parse()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|it| it.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address)
}

/// Compares two secrets without revealing through timing where they differ.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differences == 0
}

/// What a limit on networks applies to, under its name for the day: an IPv4 address, or the /64
/// that a household or a machine has in IPv6. Requests without an address share one network.
#[must_use]
pub fn network(address: Option<IpAddr>, names: &Pseudonyms, now: DateTime<Utc>) -> Network {
    names.network(now, &prefix(address))
}

fn prefix(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from(prefix))
        }
        None => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    fn seen(pairs: &[(&'static str, &str)], proxy: Option<&Proxy>) -> String {
        prefix(address(&headers(pairs), None, proxy))
    }

    #[test]
    fn the_platforms_word_is_believed_and_no_other() {
        let ours = ("x-vercel-forwarded-for", "203.0.113.7");
        let spoofed = ("x-forwarded-for", "198.51.100.1");
        assert_eq!(seen(&[ours, spoofed], None), "203.0.113.7");
        assert_eq!(seen(&[spoofed], None), "unknown");
        assert_eq!(
            seen(&[("x-vercel-forwarded-for", "nonsense")], None),
            "unknown"
        );
    }

    #[test]
    fn what_the_platform_names_beside_the_headers_counts_alone() {
        let spoofed = headers(&[("x-vercel-forwarded-for", "198.51.100.1")]);
        let named = PlatformAddress(Some([203, 0, 113, 7].into()));
        assert_eq!(prefix(address(&spoofed, Some(named), None)), "203.0.113.7");
        let none = PlatformAddress(None);
        assert_eq!(prefix(address(&spoofed, Some(none), None)), "unknown");
    }

    #[test]
    fn a_proxy_is_believed_when_it_shows_its_secret() {
        let proxy = Proxy {
            header: HeaderName::from_static("cf-connecting-ip"),
            secret: "open sesame".into(),
        };
        let client = ("cf-connecting-ip", "198.51.100.1");
        let appended = ("cf-connecting-ip", "192.0.2.66, 198.51.100.1");
        let platform = ("x-vercel-forwarded-for", "203.0.113.7");
        let proof = ("x-proxy-secret", "open sesame");
        assert_eq!(
            seen(&[client, platform, proof], Some(&proxy)),
            "198.51.100.1"
        );
        assert_eq!(seen(&[appended, proof], Some(&proxy)), "198.51.100.1");
        assert_eq!(seen(&[client, platform], Some(&proxy)), "203.0.113.7");
        let wrong = ("x-proxy-secret", "open sesam");
        assert_eq!(
            seen(&[client, platform, wrong], Some(&proxy)),
            "203.0.113.7"
        );
        assert_eq!(seen(&[client, platform, proof], None), "203.0.113.7");
    }

    #[test]
    fn an_ipv6_host_counts_with_its_network_and_a_mapped_address_as_ipv4() {
        let network = |address: &str| seen(&[("x-vercel-forwarded-for", address)], None);
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::99"), "2001:db8:1:2::/64");
        assert_eq!(network("[2001:db8:1:3::1]:443"), "2001:db8:1:3::/64");
        assert_eq!(network("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(network("203.0.113.7:5000, 10.0.0.1"), "203.0.113.7");
    }
}
