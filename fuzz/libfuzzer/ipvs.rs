//! The target `ipvs` below libFuzzer. What it does is in `vipd_fuzz::ipvs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| vipd_fuzz::ipvs::feed(octets));
