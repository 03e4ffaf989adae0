use super::*;

/// Blanks, quotes and more than ASCII.
const COMMAND: [&str; 3] = ["foot", "two words", "caf\u{e9}%&"];

fn machine(role: Role) -> Machine {
    Machine {
        name: "test".to_owned(),
        role,
        image: ImageFiles {
            kernel: "/i/vmlinuz".into(),
            initramfs: "/i/initramfs".into(),
            disk: (role == Role::App).then(|| "/i/a,b/root.ext4".into()),
        },
        memory_mib: 512,
        cpus: 2,
        accel: Accel::Tcg,
        device: Some("/d/wl.vhost".into()),
        screen: (1024, 768),
        display: Display::None,
        kernel_words: vec![autostart(&COMMAND)],
        extra: Vec::new(),
    }
}

fn line(role: Role) -> String {
    let paths = VmPaths::new("/d".into());
    let words = machine(role).arguments(&paths);
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[test]
fn programs_of_the_kernel_command_line_come_out_as_they_went_in() {
    let text = machine(Role::App).kernel_command_line();
    let word = text.split(' ').next_back().unwrap();
    let command = word.strip_prefix("vwl.run=").unwrap();
    assert_eq!(guest_control::decode_command(command), COMMAND);
}

#[test]
fn only_the_compositor_has_a_screen_and_its_port() {
    assert!(line(Role::Compositor).contains("virtio-gpu-pci,id=gpu,xres=1024,yres=768"));
    assert!(line(Role::Compositor).contains(SCREEN_PORT));
    for role in [Role::App, Role::Bare] {
        assert!(!line(role).contains("gpu"), "{role:?}");
        assert!(!line(role).contains(SCREEN_PORT), "{role:?}");
    }
}

#[test]
fn the_device_sits_in_a_port_and_shares_the_guests_memory() {
    let line = line(Role::Bare);
    assert!(
        line.contains("memory-backend-memfd,id=memory,size=512M,share=on"),
        "{line}"
    );
    assert!(
        line.contains("-chardev socket,id=wl0-socket,path=/d/wl.vhost "),
        "{line}"
    );
    assert!(
        line.contains("id=wl0,bus=wl0-port,chardev=wl0-socket,virtio-id=30"),
        "{line}"
    );
}

#[test]
fn a_disk_is_never_written_to_and_its_path_is_quoted() {
    let line = line(Role::App);
    assert!(
        line.contains("snapshot=on,file=/i/a,,b/root.ext4 "),
        "{line}"
    );
}
