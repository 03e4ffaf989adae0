//! Good and bad lines.

use std::path::Path;

use nix::unistd::{Gid, Uid};

use super::parse;

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nuser:x:1000:1000:,,,:/home/user:/bin/bash\nodd:x:many:1:::\n";
const GROUPS: &str = "root:x:0:\nuser:x:1000:\nvideo:x:44:user,other\ninput:x:104:another\nbad:x:x:user\nrender:x:105:other,user\n";

#[test]
fn a_user_with_groups() {
    let user = parse("user", USERS, GROUPS).expect("a user");
    assert_eq!(
        (user.uid, user.gid),
        (Uid::from_raw(1000), Gid::from_raw(1000))
    );
    assert_eq!(user.groups, [1000, 44, 105].map(Gid::from_raw));
    assert_eq!(user.home, Path::new("/home/user"));
    assert_eq!(user.shell, "/bin/bash");
}

#[test]
fn nobody() {
    for name in ["nobody", "broken", "odd", ""] {
        assert_eq!(parse(name, USERS, GROUPS), None);
    }
}
