//! The target `advert` below libFuzzer. What it does is in `vipd_fuzz::advert`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| vipd_fuzz::advert::feed(octets));
