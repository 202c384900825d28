//! The schedulers that hash: `dh` by the address that is spoken to, `sh` and `mh` by that of the
//! client, and its port if they are told to.

use std::net::{IpAddr, SocketAddr};

use vipd_engine::ipvs::Endpoint;

use super::Flow;
use super::scheduler::{Candidate, greatest_common_divisor};

/// The flag `sh-fallback`, `mh-fallback`: another one where the one that is meant cannot.
const FALLBACK: u8 = 1 << 0;
/// The flag `sh-port`, `mh-port`.
const WITH_PORT: u8 = 1 << 1;

/// Buckets of `dh` and `sh`: 2 to the power of this.
const BITS: u32 = 8;
/// Entries of `mh` (`CONFIG_IP_VS_MH_TAB_INDEX` 12, the largest prime below 2^12).
const MAGLEV: usize = 4093;
/// Greatest number of bits that a weight has for `mh`.
const MAGLEV_WEIGHT_BITS: u32 = 6;
/// Keys of its two hashes.
const KEYS: [u64; 2] = [2_654_435_761, 2_654_446_892];

/// A destination for each hash; none if there is no destination.
pub(super) type Buckets = Vec<Endpoint>;

/// `dh`: one after the other.
pub(super) fn in_turn(pool: &[Candidate]) -> Buckets {
    pool.iter().map(|one| one.endpoint).cycle().take(1 << BITS).collect()
}

/// `sh`: each as often in a row as it weighs, and at least once.
pub(super) fn by_weight(pool: &[Candidate]) -> Buckets {
    let rows = pool.iter().cycle().flat_map(|one| {
        let times = one.weight.clamp(1, 1 << BITS) as usize;
        std::iter::repeat_n(one.endpoint, times)
    });
    rows.take(1 << BITS).collect()
}

/// `mh`: each takes its turns, as many as it weighs, and with each the next free entry of its own
/// permutation (Maglev, Eisenbud and others, NSDI 2016, section 3.4).
pub(super) fn maglev(pool: &[Candidate]) -> Buckets {
    struct Turns {
        endpoint: Endpoint,
        place: usize,
        skip: usize,
        turns: u32,
    }
    let weights = || pool.iter().map(|one| one.last_weight);
    let divisor = weights().fold(0, greatest_common_divisor);
    let Some(most) = weights().max().and_then(|most| most.checked_div(divisor)) else {
        return Vec::new();
    };
    let bits = u32::BITS - most.leading_zeros();
    let shift = bits.saturating_sub(MAGLEV_WEIGHT_BITS);
    let mut takers: Vec<_> = pool
        .iter()
        .filter(|one| one.last_weight > 0)
        .map(|one| {
            let at = SocketAddr::new(one.endpoint.address, one.endpoint.port);
            let [place, skip] = KEYS.map(|key| keyed(key, sum(at, true)) as usize);
            Turns {
                endpoint: one.endpoint,
                place: place % MAGLEV,
                skip: skip % (MAGLEV - 1) + 1,
                turns: ((one.last_weight / divisor) >> shift).max(1),
            }
        })
        .collect();
    let mut lookup = vec![None; MAGLEV];
    let mut free = MAGLEV;
    while free > 0 {
        for taker in &mut takers {
            for _ in 0..taker.turns {
                if free == 0 {
                    break;
                }
                while lookup[taker.place].is_some() {
                    taker.place = (taker.place + taker.skip) % MAGLEV;
                }
                lookup[taker.place] = Some(taker.endpoint);
                free -= 1;
            }
        }
    }
    lookup.into_iter().flatten().collect()
}

/// What `dh` picks.
pub(super) fn destination<'a>(
    buckets: &Buckets,
    pool: &'a [Candidate],
    flow: &Flow,
) -> Option<&'a Candidate> {
    let hash = spread(sum(flow.target, false));
    usable(buckets.get(hash)?, pool)
}

/// What `sh` picks.
pub(super) fn source<'a>(
    buckets: &Buckets,
    flags: u8,
    pool: &'a [Candidate],
    flow: &Flow,
) -> Option<&'a Candidate> {
    let size = 1 << BITS;
    let hash = spread(sum(flow.client, flags & WITH_PORT != 0));
    let meant = usable(buckets.get(hash)?, pool);
    let other = |offset: usize| {
        // It is added twice.
        let place = ((offset + hash) % size + hash) % size;
        usable(&buckets[place], pool)
    };
    meant.or_else(|| (0..size).filter(|_| flags & FALLBACK != 0).find_map(other))
}

/// What `mh` picks.
pub(super) fn source_by_maglev<'a>(
    lookup: &Buckets,
    flags: u8,
    pool: &'a [Candidate],
    flow: &Flow,
) -> Option<&'a Candidate> {
    let sum = sum(flow.client, flags & WITH_PORT != 0);
    let place = |offset: usize| keyed(KEYS[0], sum.wrapping_add(offset as u32)) as usize % MAGLEV;
    let hash = place(0);
    let meant = usable(lookup.get(hash)?, pool);
    let other = |offset: usize| usable(&lookup[place((offset + hash) % MAGLEV)], pool);
    meant.or_else(|| (0..MAGLEV).filter(|_| flags & FALLBACK != 0).find_map(other))
}

fn usable<'a>(endpoint: &Endpoint, pool: &'a [Candidate]) -> Option<&'a Candidate> {
    pool.iter().find(|one| one.endpoint == *endpoint && one.is_usable())
}

/// An address as one number, that of IPv6 folded, and the port if it counts.
fn sum(at: SocketAddr, with_port: bool) -> u32 {
    let address = match at.ip() {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (0..4).fold(0, |fold, part| fold ^ (bits >> (32 * part)) as u32)
        }
    };
    if with_port { address.wrapping_add(u32::from(at.port())) } else { address }
}

/// Multiplication by the golden ratio, of which the upper bits count (`hash_32`).
const fn spread(sum: u32) -> usize {
    (sum.wrapping_mul(0x61C8_8647) >> (u32::BITS - BITS)) as usize
}

/// The lower half of SipHash-1-3 with the same key twice (`hsiphash` of a 64-bit kernel), of one
/// number of 32 bits.
fn keyed(key: u64, number: u32) -> u32 {
    let mut state = [
        key ^ 0x736f_6d65_7073_6575,
        key ^ 0x646f_7261_6e64_6f6d,
        key ^ 0x6c79_6765_6e65_7261,
        key ^ 0x7465_6462_7974_6573,
    ];
    let last = 4 << 56 | u64::from(number);
    state[3] ^= last;
    round(&mut state);
    state[0] ^= last;
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    state.iter().fold(0, |fold, part| fold ^ part) as u32
}

/// SipRound (Aumasson and Bernstein, SipHash, section 2).
const fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}
