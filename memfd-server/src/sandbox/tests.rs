use integration_tests::again::{Fenced, in_child};

use super::*;

#[test]
fn what_was_given_up_fails() {
    let Some(dir) = in_child("sandbox::tests::what_was_given_up_fails") else {
        return;
    };
    let fenced = Fenced::new(dir);
    let socket = fenced.run.join("s");
    let text = format!("[[vm]]\nname = \"a\"\nsocket = {socket:?}");
    apply(&fenced.config, &Config::parse(&text).unwrap()).unwrap();
    fenced.check();
}
