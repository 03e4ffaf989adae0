use super::*;

fn data(offset: i32, width: i32, height: i32, stride: i32) -> BufferData {
    BufferData {
        offset,
        width,
        height,
        stride,
        format: wl_shm::Format::Xrgb8888,
    }
}

#[test]
fn test_layout_exactly_filling_pool_is_accepted() {
    // The last row needs its pixels only, not a whole stride.
    let layout = Layout::check(data(16, 3, 2, 20), 16 + 20 + 12);
    assert_eq!(layout.map(|l| l.size), Ok(Size::new(3, 2)));
}

#[test]
fn test_layout_one_byte_short_is_refused() {
    let layout = Layout::check(data(16, 3, 2, 20), 16 + 20 + 11);
    assert_eq!(layout, Err(BadBuffer::OutsidePool));
}

#[test]
fn test_layout_extreme_values_are_refused() {
    for (offset, width, height, stride) in [
        (-1, 1, 1, 4),
        (0, 0, 1, 4),
        (0, 1, -1, 4),
        (0, 2, 1, 4),
        (0, 1, 1, i32::MIN),
        (i32::MAX, 1, 16_384, i32::MAX),
    ] {
        let layout = Layout::check(data(offset, width, height, stride), 4096);
        assert_eq!(
            layout,
            Err(BadBuffer::OutsidePool),
            "{offset} {width} {height} {stride}"
        );
    }
    let layout = Layout::check(data(0, MAX_SIDE + 1, 1, i32::MAX), usize::MAX);
    assert_eq!(layout, Err(BadBuffer::TooLarge));
}

#[test]
fn test_layout_unoffered_format_is_refused() {
    let data = BufferData {
        format: wl_shm::Format::Rgb565,
        ..data(0, 1, 1, 4)
    };
    assert_eq!(Layout::check(data, 4096), Err(BadBuffer::Format));
}
