//! Randomness of a simulation: xoshiro256++ seeded by SplitMix64, written out here so that a seed
//! stays valid for ever.
//!
//! Not for secrets. One [`Random`] serves one purpose (one directed path, one host's lateness), so
//! that adding a host or a link leaves the draws of all the others as they were.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One stream of random numbers: xoshiro256++ 1.0 by David Blackman and Sebastiano Vigna
/// (<https://prng.di.unimi.it/xoshiro256plusplus.c>, public domain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of this purpose under this seed. The same two give the same stream in every
    /// version of this program.
    #[must_use]
    pub fn stream(seed: u64, purpose: &str) -> Self {
        let mut mix = SplitMix64(xxh3_64_with_seed(purpose.as_bytes(), seed));
        Self { state: [mix.next(), mix.next(), mix.next(), mix.next()] }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [s0, s1, s2, s3] = &mut self.state;
        let result = s0.wrapping_add(*s3).rotate_left(23).wrapping_add(*s0);
        let t = *s1 << 17;
        *s2 ^= *s0;
        *s3 ^= *s1;
        *s1 ^= *s2;
        *s0 ^= *s3;
        *s2 ^= t;
        *s3 = s3.rotate_left(45);
        result
    }

    /// A number in `0..bound`, 0 if `bound` is 0. By multiplication: the bias is below
    /// `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True `ppm` times in a million. Draws nothing if that is never.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// A time of whole nanoseconds from zero to `most`, both included. Draws nothing for zero.
    pub fn up_to(&mut self, most: Duration) -> u64 {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        if most == 0 { 0 } else { self.below(most.saturating_add(1)) }
    }
}

/// SplitMix64 by Sebastiano Vigna (<https://prng.di.unimi.it/splitmix64.c>, public domain), the
/// generator that its authors recommend for filling the state of xoshiro.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the authors' C program prints from the state 1, 2, 3, 4; the crate
    /// `rand_xoshiro` tests against the same ones.
    #[test]
    fn xoshiro_gives_its_authors_numbers() {
        let mut random = Random { state: [1, 2, 3, 4] };
        let expected = [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386,
            9_228_616_714_210_784_205,
            9_973_669_472_204_895_162,
            14_011_001_112_246_962_877,
            12_406_186_145_184_390_807,
            15_849_039_046_786_891_736,
            10_450_023_813_501_588_000,
        ];
        assert_eq!(expected.map(|_| random.next_u64()), expected);
    }

    /// The values that the authors' C program prints from 1234567.
    #[test]
    fn splitmix_gives_its_authors_numbers() {
        let mut mix = SplitMix64(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| mix.next()), expected);
    }

    #[test]
    fn streams_differ_by_seed_and_by_purpose_and_are_the_same_each_time() {
        let first = |seed, purpose| Random::stream(seed, purpose).next_u64();
        assert_eq!(first(7, "a"), first(7, "a"));
        assert_ne!(first(7, "a"), first(7, "b"));
        assert_ne!(first(7, "a"), first(8, "a"));
    }

    #[test]
    fn a_range_includes_both_its_ends_and_nothing_else() {
        let mut random = Random::stream(1, "range");
        let most = Duration::from_nanos(3);
        let mut seen = [0_u32; 4];
        for _ in 0..1000 {
            seen[random.up_to(most) as usize] += 1;
        }
        assert!(seen.iter().all(|times| *times > 150), "{seen:?}");
        let before = random.clone();
        assert_eq!(random.up_to(Duration::ZERO), 0);
        assert!(!random.chance(0));
        assert_eq!(random, before, "what cannot vary draws nothing");
        assert!(random.chance(1_000_000));
    }
}
