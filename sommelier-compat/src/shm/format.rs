//! The pixel formats of `wl_shm` that the relay can copy: one plane, a whole
//! number of bytes for each pixel. Others are hidden from clients.

/// `wl_shm.format.argb8888` and `xrgb8888`, which every compositor takes.
pub const ALWAYS: [u32; 2] = [0, 1];

const fn fourcc(code: [u8; 4]) -> u32 {
    u32::from_le_bytes(code)
}

/// Bytes of a pixel, or `None` when the relay cannot copy the format.
#[must_use]
pub fn bytes_per_pixel(format: u32) -> Option<u32> {
    const C8: u32 = fourcc(*b"C8  ");
    const R8: u32 = fourcc(*b"R8  ");
    if ALWAYS.contains(&format) {
        return Some(4);
    }
    if [C8, R8].contains(&format) {
        return Some(1);
    }
    match &format.to_le_bytes() {
        b"R16 " | b"GR88" | b"RG88" => Some(2),
        [b'R' | b'B', b'G', b'1', b'6' | b'5'] => Some(2),
        [b'A' | b'X', b'R' | b'B', b'1', b'2' | b'5'] => Some(2),
        [b'R' | b'B', b'A' | b'X', b'1', b'2' | b'5'] => Some(2),
        [b'R' | b'B', b'G', b'2', b'4'] => Some(3),
        [b'A' | b'X', b'R' | b'B', b'2', b'4'] => Some(4),
        [b'R' | b'B', b'A' | b'X', b'2', b'4'] => Some(4),
        [b'A' | b'X', b'R' | b'B', b'3', b'0'] => Some(4),
        [b'R' | b'B', b'A' | b'X', b'3', b'0'] => Some(4),
        [b'A' | b'X', b'R' | b'B', b'4', b'H' | b'8'] => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_formats_have_their_size() {
        let sizes = [
            (*b"XB24", 4),
            (*b"AB24", 4),
            (*b"RA24", 4),
            (*b"XR30", 4),
            (*b"AB4H", 8),
            (*b"AB48", 8),
            (*b"RG16", 2),
            (*b"AR15", 2),
            (*b"RG24", 3),
            (*b"R8  ", 1),
        ];
        for (code, size) in sizes {
            assert_eq!(
                bytes_per_pixel(fourcc(code)),
                Some(size),
                "{}",
                code.escape_ascii()
            );
        }
        assert_eq!(ALWAYS.map(bytes_per_pixel), [Some(4); 2]);
    }

    #[test]
    fn planar_and_unknown_formats_are_refused() {
        for code in [*b"NV12", *b"YU12", *b"P010", *b"YUYV", [0xff; 4], *b"RGB8"] {
            assert_eq!(
                bytes_per_pixel(fourcc(code)),
                None,
                "{}",
                code.escape_ascii()
            );
        }
    }
}
