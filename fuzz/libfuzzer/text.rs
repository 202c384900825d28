//! The target `text` below libFuzzer. What it does is in `vipd_fuzz::text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| vipd_fuzz::text::feed(octets));
