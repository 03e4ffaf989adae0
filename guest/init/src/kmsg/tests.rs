//! Records as the kernel writes them.

use super::add_record;

#[test]
fn records() {
    let mut text = String::new();
    add_record(&mut text, b"6,339,5140900,-;NET: Registered PF_INET6\n");
    add_record(
        &mut text,
        b"4,340,12000001,-,caller=T1;usb 1-1: odd; really\n SUBSYSTEM=usb\n DEVICE=+usb:1-1\n",
    );
    add_record(&mut text, b"nonsense");
    add_record(&mut text, b"");
    assert_eq!(
        text,
        "5.140900 NET: Registered PF_INET6\n12.000001 usb 1-1: odd; really\n"
    );
}
