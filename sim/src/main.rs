//! `vipsim`: rehearses VRRP failovers in a deterministic simulated network.

fn main() {
    eprintln!("vipsim: nothing can be run yet");
    std::process::exit(2);
}
