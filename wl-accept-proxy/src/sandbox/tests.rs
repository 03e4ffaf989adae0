use integration_tests::again::{Fenced, denied, in_child};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::*;

#[test]
fn what_was_given_up_fails() {
    let Some(dir) = in_child("sandbox::tests::what_was_given_up_fails") else {
        return;
    };
    let fenced = Fenced::new(dir);
    let text = format!(
        "[compositor]\ncontrol = \"/nowhere\"\nannounce = {:?}\n\
         [[vm]]\nname = \"a\"\ncolour = \"#000000\"\nsocket = {:?}",
        fenced.run.join("announce"),
        fenced.run.join("s")
    );
    apply(&fenced.config, &Config::parse(&text).unwrap()).unwrap();
    fenced.check();
    denied(memfd_create("x", MFdFlags::empty()).map_err(Into::into));
}
