//! The target `replies` below libFuzzer. What it does is in `vipd_fuzz::replies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| vipd_fuzz::replies::feed(octets));
