use super::*;

#[test]
fn test_surfaces_are_counted_while_their_data_lives() {
    let before = live_surfaces();
    let surface = LiveSurface::new();
    assert_eq!(live_surfaces(), before + 1);
    drop(surface);
    assert_eq!(live_surfaces(), before);
}
