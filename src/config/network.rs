//! Networks of addresses (RFC 4632 section 3.1, RFC 4291 section 2.3): `10.0.0.0/8`, `2001:db8::/32`.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::config::problems::Wrong;

/// A network: the addresses that begin like this one. One of IPv4-mapped IPv6 addresses is the IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// No bit behind the prefix is set.
    address: IpAddr,
    /// Bits of the prefix.
    length: u8,
}

/// Bits of `::ffff:0:0/96`, where the IPv4 addresses are mapped to (RFC 4291 section 2.5.5.2).
const MAPPED: u8 = 96;

impl Network {
    /// Reads `ADDRESS/BITS`; an address alone is the network of that address. Bits behind the prefix are refused:
    /// whoever wrote them meant another prefix, or another address.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::is("is no network").hint("write an address and the bits that count, such as `10.0.0.0/8`")
        };
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = IpAddr::from_str(address).map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let length = match bits {
            None => whole,
            Some(bits) if bits == "0" || !bits.starts_with(['0', '+']) => {
                bits.parse().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
        };
        if length > whole {
            return Err(wrong());
        }
        let begins = prefix(address, length);
        if begins != address {
            return Err(Wrong::is("has bits set behind its prefix")
                .hint(format!("`{begins}/{length}` is the network, and `{address}` alone the address")));
        }
        Ok(match (address, address.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if length >= MAPPED => {
                Self { address, length: length - MAPPED }
            }
            (address, _) => Self { address, length },
        })
    }

    /// Whether the address is one of it; an IPv4-mapped IPv6 address is the IPv4 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && prefix(address, self.length) == self.address
    }

    /// Whether it is every address of its kind.
    pub fn is_everything(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The address without what stands behind its first `length` bits.
fn prefix(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}
