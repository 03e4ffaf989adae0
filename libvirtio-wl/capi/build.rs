//! What only the linker can say about `libvirtio_wl.so.1`.

/// The name programs that link it ask for: `1` is the number of the ABI.
const SONAME: &str = "libvirtio_wl.so.1";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    // Background threads run its code, so dlclose(3) must leave it where it is.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
