use super::*;

#[test]
fn trouble_is_found_and_ordinary_words_are_not() {
    let log = "<1.0> virtio_wl: loading out-of-tree module taints kernel.\n\
               <2.0> WARNING: CPU: 0 PID: 1 at mm/slub.c:1\n\
               <2.1> ---[ end trace ]---\n\
               <3.0> BUG: kernel NULL pointer dereference\n";
    let found = trouble(log);
    assert_eq!(found.len(), 2, "{found:?}");
}
