//! The globals that clients may see: their interfaces (static tables of the
//! protocol crates) and the highest versions passed on (`baseline.txt`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wayland_backend::protocol::Interface;
use wayland_client::Proxy;
use wayland_client::protocol::{
    wl_compositor::WlCompositor, wl_data_device_manager::WlDataDeviceManager, wl_fixes::WlFixes,
    wl_output::WlOutput, wl_seat::WlSeat, wl_shm::WlShm, wl_subcompositor::WlSubcompositor,
};
use wayland_protocols::{ext, wp, xdg};

/// The list as committed: `interface version`, one a line, `#` comments.
const BASELINE: &str = include_str!("../baseline.txt");

/// A global that may be shown to clients.
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// Its interface with all messages.
    pub interface: &'static Interface,
    /// Highest version that clients get.
    pub max_version: u32,
}

/// Looks a global up by the name of its interface; `None` means hidden.
#[must_use]
pub fn find(interface: &[u8]) -> Option<Global> {
    ALLOWED.get(interface).copied()
}

/// All globals that may be shown.
pub fn all() -> impl Iterator<Item = Global> {
    ALLOWED.values().copied()
}

static ALLOWED: LazyLock<BTreeMap<&'static [u8], Global>> = LazyLock::new(|| {
    let known = known_interfaces();
    entries(BASELINE)
        .filter_map(|(name, max_version)| {
            let interface = known.iter().copied().find(|known| known.name == name)?;
            Some((
                name.as_bytes(),
                Global {
                    interface,
                    max_version,
                },
            ))
        })
        .collect()
});

/// The entries of a baseline file. A line that is none is an error of ours and
/// is reported by the tests, where `strict` parsing is applied to [`BASELINE`].
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines()
        .filter_map(|line| parse_line(line).ok().flatten())
}

/// One line: `Ok(None)` for blank lines and comments.
fn parse_line(line: &str) -> Result<Option<(&str, u32)>, &str> {
    let content = line.split('#').next().unwrap_or_default().trim();
    if content.is_empty() {
        return Ok(None);
    }
    let (name, version) = content.split_once(' ').ok_or(line)?;
    match version.trim().parse() {
        Ok(version @ 1..) => Ok(Some((name, version))),
        _ => Err(line),
    }
}

/// Every global whose interface tables are at hand and that the relay can
/// forward.
fn known_interfaces() -> Vec<&'static Interface> {
    vec![
        WlCompositor::interface(),
        WlDataDeviceManager::interface(),
        WlFixes::interface(),
        WlOutput::interface(),
        WlSeat::interface(),
        WlShm::interface(),
        WlSubcompositor::interface(),
        ext::idle_notify::v1::client::ext_idle_notifier_v1::ExtIdleNotifierV1::interface(),
        wp::alpha_modifier::v1::client::wp_alpha_modifier_v1::WpAlphaModifierV1::interface(),
        wp::content_type::v1::client::wp_content_type_manager_v1::WpContentTypeManagerV1::interface(),
        wp::cursor_shape::v1::client::wp_cursor_shape_manager_v1::WpCursorShapeManagerV1::interface(),
        wp::fifo::v1::client::wp_fifo_manager_v1::WpFifoManagerV1::interface(),
        wp::fractional_scale::v1::client::wp_fractional_scale_manager_v1::WpFractionalScaleManagerV1::interface(),
        wp::idle_inhibit::zv1::client::zwp_idle_inhibit_manager_v1::ZwpIdleInhibitManagerV1::interface(),
        wp::keyboard_shortcuts_inhibit::zv1::client::zwp_keyboard_shortcuts_inhibit_manager_v1::ZwpKeyboardShortcutsInhibitManagerV1::interface(),
        wp::pointer_constraints::zv1::client::zwp_pointer_constraints_v1::ZwpPointerConstraintsV1::interface(),
        wp::pointer_gestures::zv1::client::zwp_pointer_gestures_v1::ZwpPointerGesturesV1::interface(),
        wp::pointer_warp::v1::client::wp_pointer_warp_v1::WpPointerWarpV1::interface(),
        wp::primary_selection::zv1::client::zwp_primary_selection_device_manager_v1::ZwpPrimarySelectionDeviceManagerV1::interface(),
        wp::relative_pointer::zv1::client::zwp_relative_pointer_manager_v1::ZwpRelativePointerManagerV1::interface(),
        wp::single_pixel_buffer::v1::client::wp_single_pixel_buffer_manager_v1::WpSinglePixelBufferManagerV1::interface(),
        wp::tablet::zv2::client::zwp_tablet_manager_v2::ZwpTabletManagerV2::interface(),
        wp::tearing_control::v1::client::wp_tearing_control_manager_v1::WpTearingControlManagerV1::interface(),
        wp::text_input::zv3::client::zwp_text_input_manager_v3::ZwpTextInputManagerV3::interface(),
        wp::viewporter::client::wp_viewporter::WpViewporter::interface(),
        xdg::activation::v1::client::xdg_activation_v1::XdgActivationV1::interface(),
        xdg::decoration::zv1::client::zxdg_decoration_manager_v1::ZxdgDecorationManagerV1::interface(),
        xdg::dialog::v1::client::xdg_wm_dialog_v1::XdgWmDialogV1::interface(),
        xdg::foreign::zv2::client::zxdg_exporter_v2::ZxdgExporterV2::interface(),
        xdg::foreign::zv2::client::zxdg_importer_v2::ZxdgImporterV2::interface(),
        xdg::shell::client::xdg_wm_base::XdgWmBase::interface(),
        xdg::system_bell::v1::client::xdg_system_bell_v1::XdgSystemBellV1::interface(),
        xdg::toplevel_drag::v1::client::xdg_toplevel_drag_manager_v1::XdgToplevelDragManagerV1::interface(),
        xdg::toplevel_tag::v1::client::xdg_toplevel_tag_manager_v1::XdgToplevelTagManagerV1::interface(),
        xdg::xdg_output::zv1::client::zxdg_output_manager_v1::ZxdgOutputManagerV1::interface(),
    ]
}

#[cfg(test)]
mod tests;
