use super::*;

fn virtio1() -> Interrupts {
    Interrupts {
        device: "virtio1".to_owned(),
    }
}

#[test]
fn counts_of_all_processors_and_both_queues() {
    let text = "           CPU0       CPU1
 24:          7          0  PCI-MSIX-0000:01:00.0   0-edge      virtio1-config
 25:         12         30  PCI-MSIX-0000:01:00.0   1-edge      virtio1-in
 26:          1          0  PCI-MSIX-0000:01:00.0   2-edge      virtio1-out
 27:        100          0  PCI-MSIX-0000:02:00.0   2-edge      virtio10-out
";
    assert_eq!(virtio1().sum(text).unwrap(), 43);
}

#[test]
fn one_interrupt_for_everything() {
    let text = " 22:   5   6  IO-APIC  22-fasteoi   virtio1, ahci[0000:00:1f.2]\n";
    assert_eq!(virtio1().sum(text).unwrap(), 11);
    let error = virtio1().sum("").unwrap_err().to_string();
    assert!(error.contains("virtio1"), "{error}");
}
