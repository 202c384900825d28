//! The target `inputs` below libFuzzer. What it does is in `vipd_fuzz::inputs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| vipd_fuzz::inputs::feed(octets));
