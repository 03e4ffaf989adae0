//! Short event handlers for the Wayland clients of tests, which mostly note what they hear.

#[doc(hidden)]
pub use wayland_client;

/// Implements `Dispatch` for a state, an interface a line:
///
/// ```
/// use test_wayland_client::listen;
/// use wayland_client::protocol::{wl_buffer, wl_callback, wl_data_device, wl_data_offer};
/// # use wayland_client::delegate_noop;
///
/// #[derive(Default)]
/// struct Heard {
///     frames: usize,
///     released: Vec<usize>,
///     offers: usize,
/// }
///
/// listen! { Heard:
///     wl_callback::WlCallback => |heard, _, _| heard.frames += 1;
///     // With user data:
///     wl_buffer::WlBuffer, usize => |heard, _, _, number| heard.released.push(*number);
///     // An event that makes an object:
///     wl_data_device::WlDataDevice => |heard, _, _| heard.offers += 1, creates [
///         wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, ()),
///     ];
/// }
/// # delegate_noop!(Heard: ignore wl_data_offer::WlDataOffer);
/// ```
#[macro_export]
macro_rules! listen {
    ($state:ty:) => {};
    ($state:ty: $proxy:ty => |$s:pat_param, $object:pat_param, $event:pat_param| $what:expr
        $(, creates [$($children:tt)*])?; $($rest:tt)*) => {
        $crate::listen! { $state: $proxy, () => |$s, $object, $event, ()| $what
            $(, creates [$($children)*])?; $($rest)* }
    };
    ($state:ty: $proxy:ty, $data:ty =>
        |$s:pat_param, $object:pat_param, $event:pat_param, $d:pat_param| $what:expr
        $(, creates [$($children:tt)*])?; $($rest:tt)*) => {
        impl $crate::wayland_client::Dispatch<$proxy, $data> for $state {
            fn event(
                $s: &mut Self,
                $object: &$proxy,
                $event: <$proxy as $crate::wayland_client::Proxy>::Event,
                $d: &$data,
                _: &$crate::wayland_client::Connection,
                _: &$crate::wayland_client::QueueHandle<Self>,
            ) {
                $what;
            }

            $($crate::wayland_client::event_created_child!(Self, $proxy, [$($children)*]);)?
        }
        $crate::listen! { $state: $($rest)* }
    };
}
