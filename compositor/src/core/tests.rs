//! The core alone: no display, no clients.

use proptest::prelude::*;

use super::*;

const MONITOR: Size = Size::new(1280, 720);
const LABEL: i32 = 60;
const LEFT: u32 = 0x110;

fn id(vm: u64, key: u64) -> WindowId {
    WindowId {
        vm: VmId(vm),
        key: WindowKey(key),
    }
}

fn core_with(windows: &[(WindowId, Size)]) -> Core {
    let mut core = Core::new(MONITOR);
    for (id, size) in windows {
        core.map(*id, *size, LABEL);
    }
    core.take_effects();
    core
}

fn middle(r: Rect) -> PointF {
    PointF::new(f64::from(r.x + r.w / 2), f64::from(r.y + r.h / 2))
}

fn content(core: &Core, id: WindowId) -> Rect {
    core.window(id).unwrap().content()
}

/// The point of a window's title bar that is furthest to the right.
fn title(core: &Core, id: WindowId) -> PointF {
    let frame = core.window(id).unwrap().frame();
    PointF::new(f64::from(frame.right() - 8), f64::from(frame.y + 12))
}

fn click(core: &mut Core, at: PointF) -> Vec<Effect> {
    core.motion(at);
    core.take_effects();
    core.button(LEFT, true);
    let effects = core.take_effects();
    core.button(LEFT, false);
    core.take_effects();
    effects
}

#[test]
fn test_windows_of_two_vms_are_placed_side_by_side() {
    let (a, b) = (id(1, 1), id(2, 1));
    let core = core_with(&[(a, Size::new(500, 300)), (b, Size::new(500, 300))]);
    let (a, b) = (core.window(a).unwrap(), core.window(b).unwrap());
    assert_eq!(a.frame().origin(), Point::new(0, 0));
    assert_eq!(b.frame().origin(), Point::new(a.frame().right(), 0));
}

#[test]
fn test_same_key_in_two_vms_names_two_windows() {
    let mut core = core_with(&[(id(1, 1), Size::new(10, 10)), (id(2, 1), Size::new(20, 20))]);
    core.unmap(id(1, 1));
    assert!(core.window(id(1, 1)).is_none());
    assert_eq!(content(&core, id(2, 1)).size(), Size::new(20, 20));
}

#[test]
fn test_map_focuses_the_new_window() {
    let mut core = core_with(&[(id(1, 1), Size::new(10, 10))]);
    core.map(id(2, 1), Size::new(10, 10), LABEL);
    let focus = Effect::Focus {
        from: Some(id(1, 1)),
        to: Some(id(2, 1)),
    };
    assert!(core.take_effects().contains(&focus));
}

#[test]
fn test_pointer_leaves_one_vm_before_it_enters_the_other() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(a, Size::new(500, 300)), (b, Size::new(500, 300))]);
    core.motion(middle(content(&core, a)));
    core.take_effects();
    core.motion(middle(content(&core, b)));
    let effects = core.take_effects();
    assert_eq!(effects[0], Effect::Leave { vm: VmId(1) });
    assert!(matches!(effects[1], Effect::Motion { window, .. } if window == b));
}

#[test]
fn test_press_in_content_binds_motion_to_that_vm() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(a, Size::new(500, 300)), (b, Size::new(500, 300))]);
    core.motion(middle(content(&core, a)));
    core.button(LEFT, true);
    core.take_effects();
    core.motion(middle(content(&core, b)));
    let effects = core.take_effects();
    assert!(matches!(effects[..], [Effect::Motion { window, .. }] if window == a));

    core.button(LEFT, false);
    let effects = core.take_effects();
    let release = Effect::Button {
        vm: VmId(1),
        code: LEFT,
        pressed: false,
    };
    assert_eq!(effects[0], release);
    assert_eq!(effects[1], Effect::Leave { vm: VmId(1) });
}

#[test]
fn test_press_on_frame_reaches_no_client() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(500, 300))]);
    let at = title(&core, a);
    let effects = click(&mut core, at);
    let button = |e: &Effect| matches!(e, Effect::Button { .. } | Effect::Motion { .. });
    assert!(!effects.iter().any(button), "{effects:?}");
}

#[test]
fn test_press_never_falls_through_to_another_vm() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(a, MONITOR), (b, MONITOR)]);
    let at = middle(content(&core, b));
    let effects = click(&mut core, at);
    let other = |e: &Effect| matches!(e, Effect::Button { vm, .. } if *vm != VmId(2));
    assert!(!effects.iter().any(other), "{effects:?}");
}

#[test]
fn test_press_elsewhere_closes_menus_of_other_vms() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(a, Size::new(300, 300)), (b, Size::new(300, 300))]);
    let at = middle(content(&core, b));
    let effects = click(&mut core, at);
    assert!(effects.contains(&Effect::EndGrabs { vm: VmId(1) }));
    assert!(!effects.contains(&Effect::EndGrabs { vm: VmId(2) }));
}

#[test]
fn test_drag_of_title_moves_the_window() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(300, 200))]);
    let before = content(&core, a);
    let at = title(&core, a);
    core.motion(at);
    core.button(LEFT, true);
    core.motion(PointF::new(at.x + 100.0, at.y + 50.0));
    core.button(LEFT, false);
    assert_eq!(content(&core, a), before.offset(Point::new(100, 50)));
}

#[test]
fn test_move_request_without_press_is_ignored() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(300, 200))]);
    let before = content(&core, a);
    core.begin_move(a);
    core.motion(PointF::new(900.0, 600.0));
    assert_eq!(content(&core, a), before);
}

#[test]
fn test_release_after_client_move_reaches_the_vm_that_saw_the_press() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(300, 200))]);
    core.motion(middle(content(&core, a)));
    core.button(LEFT, true);
    core.begin_move(a);
    core.take_effects();
    core.button(LEFT, false);
    let release = Effect::Button {
        vm: VmId(1),
        code: LEFT,
        pressed: false,
    };
    assert!(core.take_effects().contains(&release));
}

#[test]
fn test_drag_of_left_border_keeps_the_right_edge() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(300, 200))]);
    let before = content(&core, a);
    core.motion(PointF::new(1.0, f64::from(before.y + 50)));
    core.button(LEFT, true);
    core.motion(PointF::new(41.0, f64::from(before.y + 50)));
    let asked = core.take_effects().into_iter().find_map(|e| match e {
        Effect::Configure { size, .. } => Some(size),
        _ => None,
    });
    assert_eq!(asked, Some(Size::new(260, 200)));
    core.resize(a, Size::new(260, 200));
    assert_eq!(content(&core, a).right(), before.right());
}

#[test]
fn test_removed_vm_gets_no_effect() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(b, Size::new(300, 200)), (a, Size::new(300, 200))]);
    core.motion(middle(content(&core, a)));
    core.remove_vm(VmId(1));
    let effects = core.take_effects();
    assert!(!effects.iter().any(|e| e.is_for(VmId(1))), "{effects:?}");
    assert_eq!(core.focus(), Some(b));
}

#[test]
fn test_popup_takes_the_pointer_before_the_window_below() {
    let (a, b) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(b, Size::new(300, 200)), (a, Size::new(300, 200))]);
    let right = content(&core, a).right();
    core.set_popups(a, vec![Rect::new(-400, 10, 350, 80)]);
    core.motion(PointF::new(f64::from(right - 600), 60.0));
    let effects = core.take_effects();
    assert!(
        matches!(effects.last(), Some(Effect::Motion { window, .. }) if *window == a),
        "{effects:?}"
    );
}

/// One thing that can happen to the core.
#[test]
fn test_a_smaller_monitor_leaves_windows_where_they_can_be_grabbed() {
    let (near, far) = (id(1, 1), id(2, 1));
    let mut core = core_with(&[(near, Size::new(300, 200)), (far, Size::new(900, 600))]);
    let before = core.window(near).unwrap().frame();
    core.motion(PointF::new(1279.0, 719.0));
    core.set_monitor(Size::new(320, 240));
    let monitor = core.monitor();
    assert_eq!(monitor, Rect::new(0, 0, 320, 240));
    assert_eq!(core.window(near).unwrap().frame(), before, "it fits");
    let frame = core.window(far).unwrap().frame();
    let seen = frame.intersection(monitor).unwrap();
    assert!(seen.w >= KEEP_VISIBLE && frame.y >= 0, "{frame:?}");
    assert_eq!(core.pointer(), PointF::new(319.0, 239.0));
    let areas = core.take_effects();
    let told = |window: WindowId| {
        let mut areas = areas.iter();
        areas.any(|e| matches!(e, Effect::WorkArea { window: w, .. } if *w == window))
    };
    assert!(told(near) && told(far), "popups have another room");
}

#[test]
fn test_borders_say_which_edges_they_drag() {
    let a = id(1, 1);
    let mut core = core_with(&[(a, Size::new(300, 200))]);
    let frame = core.window(a).unwrap().frame();
    let right = PointF::new(f64::from(frame.right() - 1), f64::from(frame.bottom() - 60));
    core.motion(right);
    let edges = Edges {
        right: true,
        ..Edges::default()
    };
    assert_eq!(core.grip(), edges);
    core.button(LEFT, true);
    core.motion(PointF::new(600.0, 600.0));
    assert_eq!(
        core.grip(),
        edges,
        "while it is dragged, wherever the pointer is"
    );
    core.button(LEFT, false);
    assert_eq!(core.grip(), Edges::default());
    core.motion(middle(content(&core, a)));
    assert_eq!(core.grip(), Edges::default());
}

#[derive(Debug, Clone)]
enum Op {
    Map(WindowId, Size),
    Unmap(WindowId),
    Popups(WindowId, Vec<Rect>),
    RemoveVm(VmId),
    Motion(PointF),
    Button(u32, bool),
    BeginMove(WindowId),
    BeginResize(WindowId, Edges),
    Key(u32, bool),
    Axis(i32, i32),
    Corner(WindowId),
    Monitor(Size),
}

fn any_id() -> impl Strategy<Value = WindowId> {
    (0..3u64, 0..3u64).prop_map(|(vm, key)| id(vm, key))
}

fn any_side() -> impl Strategy<Value = i32> {
    prop_oneof![0..800i32, Just(i32::MAX), Just(16_384)]
}

fn any_rect() -> impl Strategy<Value = Rect> {
    let corner = prop_oneof![-500..500i32, Just(i32::MIN), Just(i32::MAX)];
    (corner.clone(), corner, any_side(), any_side()).prop_map(|(x, y, w, h)| Rect::new(x, y, w, h))
}

fn any_op() -> impl Strategy<Value = Op> {
    let place = prop_oneof![-100.0..1500.0f64, Just(f64::NAN), Just(f64::INFINITY)];
    let size = (any_side(), any_side()).prop_map(|(w, h)| Size::new(w, h));
    let edges = any::<[bool; 4]>().prop_map(|[left, right, top, bottom]| Edges {
        left,
        right,
        top,
        bottom,
    });
    prop_oneof![
        4 => (any_id(), size).prop_map(|(id, size)| Op::Map(id, size)),
        2 => any_id().prop_map(Op::Unmap),
        2 => (any_id(), prop::collection::vec(any_rect(), 0..3))
            .prop_map(|(id, popups)| Op::Popups(id, popups)),
        1 => (0..3u64).prop_map(|vm| Op::RemoveVm(VmId(vm))),
        8 => (place.clone(), place).prop_map(|(x, y)| Op::Motion(PointF::new(x, y))),
        8 => (0..3u32, any::<bool>()).prop_map(|(code, down)| Op::Button(code, down)),
        2 => any_id().prop_map(Op::BeginMove),
        2 => (any_id(), edges).prop_map(|(id, edges)| Op::BeginResize(id, edges)),
        1 => (0..3u32, any::<bool>()).prop_map(|(code, down)| Op::Key(code, down)),
        1 => (-240..240i32, -240..240i32).prop_map(|(h, v)| Op::Axis(h, v)),
        1 => any_id().prop_map(Op::Corner),
        1 => (64..4000, 64..4000).prop_map(|(w, h)| Op::Monitor(Size::new(w, h))),
    ]
}

fn apply(core: &mut Core, op: Op) {
    match op {
        Op::Map(id, size) => core.map(id, size, LABEL),
        Op::Unmap(id) => core.unmap(id),
        Op::Popups(id, popups) => core.set_popups(id, popups),
        Op::RemoveVm(vm) => core.remove_vm(vm),
        Op::Motion(to) => core.motion(to),
        Op::Button(code, pressed) => core.button(code, pressed),
        Op::BeginMove(id) => core.begin_move(id),
        Op::BeginResize(id, edges) => core.begin_resize(id, edges),
        Op::Key(code, pressed) => core.key(code, pressed),
        Op::Axis(horizontal, vertical) => core.axis(horizontal, vertical),
        Op::Corner(id) => core.move_to_corner(id),
        Op::Monitor(size) => core.set_monitor(size),
    }
}

/// What VMs were told so far, to check that it makes sense to each of them.
#[derive(Debug, Default)]
struct Told {
    pointer_in: Option<VmId>,
    held: std::collections::BTreeSet<(VmId, u32)>,
}

impl Told {
    fn hear(&mut self, effect: &Effect) {
        match effect {
            Effect::Motion { window, .. } => {
                assert!(
                    self.pointer_in.is_none_or(|vm| vm == window.vm),
                    "two VMs have the pointer"
                );
                self.pointer_in = Some(window.vm);
            }
            Effect::Leave { vm } => {
                assert_eq!(self.pointer_in, Some(*vm));
                self.pointer_in = None;
            }
            Effect::Button { vm, code, pressed } => {
                if *pressed {
                    assert_eq!(self.pointer_in, Some(*vm), "press without the pointer");
                    assert!(self.held.insert((*vm, *code)), "pressed twice");
                } else {
                    assert!(self.held.remove(&(*vm, *code)), "released, not pressed");
                }
            }
            _ => {}
        }
    }
}

fn verify_invariants(core: &Core) {
    let ids: Vec<WindowId> = core.windows().map(Window::id).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    assert!(core.focus().is_none_or(|id| ids.contains(&id)));
    assert!(ids.is_empty() || core.focus().is_some());
    core.verify_pointer();
}

proptest! {
    #[test]
    fn random_operations_keep_invariants(ops in prop::collection::vec(any_op(), 0..80)) {
        let mut core = Core::new(MONITOR);
        let mut told = Told::default();
        for op in ops {
            let ended = match &op {
                Op::RemoveVm(vm) => Some(*vm),
                _ => None,
            };
            apply(&mut core, op);
            if let Some(vm) = ended {
                // It is gone: nobody tells it anything any more.
                told.pointer_in = told.pointer_in.filter(|v| *v != vm);
            }
            for effect in core.take_effects() {
                told.hear(&effect);
            }
            verify_invariants(&core);
        }
    }
}
