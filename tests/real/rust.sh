#!/bin/bash
# cargo: a build script, a test, a program; nothing is downloaded.
command -v cargo >/dev/null && cargo --version >/dev/null 2>&1 || { echo "cargo is not installed for this user"; exit 77; }
mkdir -p c/src && cd c || exit 1
printf '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n' >Cargo.toml
printf 'fn main() { println!("cargo:rustc-env=MADE=by-the-build-script"); }\n' >build.rs
cat >src/main.rs <<'RS'
fn main() {
    println!("{} {}", env!("MADE"), (1..=10).sum::<u32>());
}

#[test]
fn sums() {
    assert_eq!((1..=10).sum::<u32>(), 55);
}
RS
cargo run -q --offline 2>err || head -n 5 err
cargo test -q --offline 2>/dev/null | grep -E '^test result' | sed 's/; finished.*//'
