use super::*;

const NEW: Features = Features::TRANS_FLAGS.union(Features::USE_SHMEM);

fn flags(announced: Announced, features: Features) -> u32 {
    let id = VfdId::new(1).unwrap();
    describe(id, announced, features).flags.bits()
}

#[test]
fn flags_have_the_meaning_that_was_negotiated() {
    let memory = Announced::Memory {
        offset: 8192,
        size: 5000,
    };
    let pipe = |read, write| Announced::Pipe { read, write };
    let cases = [
        (Announced::Socket, 3, 4),
        (memory, 0, 3),
        (pipe(true, false), 2, 0),
        (pipe(false, true), 1, 0),
        (Announced::Fence, 8, 0),
        (Announced::Dead, 0, 0),
    ];
    for (announced, new, old) in cases {
        assert_eq!(flags(announced, NEW), new, "{announced:?}");
        assert_eq!(flags(announced, Features::USE_SHMEM), old, "{announced:?}");
    }
}

#[test]
fn memory_is_told_in_pages_and_exact_bytes() {
    let memory = Announced::Memory {
        offset: 8192,
        size: 5000,
    };
    let info = describe(VfdId::new(1).unwrap(), memory, NEW);
    assert_eq!(info.memory, Some(MemoryRange { pfn: 2, size: 5000 }));
}
