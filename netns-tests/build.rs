//! Builds what is loaded into user-mode Linux (`src/uml/registers.c`) where there are such
//! processors and glibc, whose `ptrace` it stands for; elsewhere it is empty.

use std::env;
use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=src/uml/registers.c");
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    let library = Path::new(&out).join("registers.so");
    let is = |what, value| env::var(what).as_deref() == Ok(value);
    if !is("CARGO_CFG_TARGET_ARCH", "x86_64") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        fs::write(&library, []).expect("the folder is there");
        return;
    }
    let compiler = cc::Build::new().opt_level(2).warnings(true).pic(true).get_compiler();
    let mut command = compiler.to_command();
    command.args(["-shared", "-o"]).arg(&library).arg("src/uml/registers.c");
    let status = command.status().expect("there is a C compiler");
    assert!(status.success(), "src/uml/registers.c does not compile");
}
