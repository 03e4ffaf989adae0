//! What a frame is made of: pictures and plain rectangles.
//!
//! Elements carry render ids of our own, never ids of Wayland objects, which are
//! equal in different VMs. A drawing error stays with its element: the damage
//! tracker would otherwise stop and leave the windows of all VMs undrawn.

use smithay::backend::renderer::element::{Element, Id, RenderElement};
use smithay::backend::renderer::pixman::{PixmanFrame, PixmanRenderer, PixmanTexture};
use smithay::backend::renderer::utils::{CommitCounter, DamageSet, DamageSnapshot, OpaqueRegions};
use smithay::backend::renderer::{Color32F, Frame, RendererSuper};
use smithay::utils::{Buffer, Physical, Rectangle, Scale, Transform};

use crate::core::Rect;

/// A part of a frame.
#[derive(Debug)]
pub(crate) struct SceneElement {
    id: Id,
    commit: CommitCounter,
    /// Where on the monitor, pixels.
    dst: Rectangle<i32, Physical>,
    opaque: bool,
    paint: Paint,
}

#[derive(Debug)]
enum Paint {
    Picture {
        texture: PixmanTexture,
        src: Rectangle<f64, Buffer>,
        transform: Transform,
        /// Given only if one buffer pixel is one pixel on the monitor.
        damage: Option<DamageSnapshot<i32, Buffer>>,
    },
    Plain(Color32F),
}

/// The picture of an element.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) texture: PixmanTexture,
    /// The part of it to show, buffer pixels.
    pub(crate) src: Rectangle<f64, Buffer>,
    pub(crate) transform: Transform,
    pub(crate) damage: DamageSnapshot<i32, Buffer>,
    pub(crate) opaque: bool,
}

impl SceneElement {
    /// A picture at `dst`. Changes are told apart by the damage's counter.
    pub(crate) fn picture(id: Id, dst: Rect, picture: Picture) -> Self {
        let one_to_one = picture.transform == Transform::Normal
            && picture.src.size.w == f64::from(dst.w)
            && picture.src.size.h == f64::from(dst.h);
        Self {
            id,
            commit: picture.damage.current_commit(),
            dst: physical(dst),
            opaque: picture.opaque,
            paint: Paint::Picture {
                texture: picture.texture,
                src: picture.src,
                transform: picture.transform,
                damage: one_to_one.then_some(picture.damage),
            },
        }
    }

    /// A rectangle of one opaque colour `0x00RRGGBB`; `commit` must change with it.
    pub(crate) fn plain(id: Id, dst: Rect, colour: u32, commit: CommitCounter) -> Self {
        let [_, r, g, b] = colour.to_be_bytes().map(|c| f32::from(c) / 255.0);
        Self {
            id,
            commit,
            dst: physical(dst),
            opaque: true,
            paint: Paint::Plain(Color32F::new(r, g, b, 1.0)),
        }
    }
}

fn physical(r: Rect) -> Rectangle<i32, Physical> {
    Rectangle::new((r.x, r.y).into(), (r.w, r.h).into())
}

impl Element for SceneElement {
    fn id(&self) -> &Id {
        &self.id
    }

    fn current_commit(&self) -> CommitCounter {
        self.commit
    }

    fn src(&self) -> Rectangle<f64, Buffer> {
        match &self.paint {
            Paint::Picture { src, .. } => *src,
            Paint::Plain(_) => Rectangle::from_size((1.0, 1.0).into()),
        }
    }

    fn transform(&self) -> Transform {
        match &self.paint {
            Paint::Picture { transform, .. } => *transform,
            Paint::Plain(_) => Transform::Normal,
        }
    }

    fn geometry(&self, _scale: Scale<f64>) -> Rectangle<i32, Physical> {
        self.dst
    }

    fn damage_since(
        &self,
        _scale: Scale<f64>,
        commit: Option<CommitCounter>,
    ) -> DamageSet<i32, Physical> {
        if commit == Some(self.commit) {
            return DamageSet::default();
        }
        let whole = Rectangle::from_size(self.dst.size);
        if let Paint::Picture {
            src,
            damage: Some(damage),
            ..
        } = &self.paint
            && let Some(rects) = damage.damage_since(commit)
        {
            let corner = src.loc.to_i32_round::<i32>();
            let moved = rects.iter().filter_map(|r| {
                let at = r.loc - corner;
                let on_monitor = Rectangle::new((at.x, at.y).into(), (r.size.w, r.size.h).into());
                on_monitor.intersection(whole)
            });
            return moved.collect();
        }
        DamageSet::from_slice(&[whole])
    }

    fn opaque_regions(&self, _scale: Scale<f64>) -> OpaqueRegions<i32, Physical> {
        if self.opaque {
            OpaqueRegions::from_slice(&[Rectangle::from_size(self.dst.size)])
        } else {
            OpaqueRegions::default()
        }
    }
}

impl RenderElement<PixmanRenderer> for SceneElement {
    fn draw(
        &self,
        frame: &mut PixmanFrame<'_, '_>,
        src: Rectangle<f64, Buffer>,
        dst: Rectangle<i32, Physical>,
        damage: &[Rectangle<i32, Physical>],
        opaque_regions: &[Rectangle<i32, Physical>],
    ) -> Result<(), <PixmanRenderer as RendererSuper>::Error> {
        let drawn = match &self.paint {
            Paint::Picture {
                texture, transform, ..
            } => frame.render_texture_from_to(
                texture,
                src,
                dst,
                damage,
                opaque_regions,
                *transform,
                1.0,
            ),
            Paint::Plain(colour) => frame.draw_solid(dst, damage, *colour),
        };
        if let Err(error) = drawn {
            tracing::warn!(%error, ?src, ?dst, "left out a part of a window that cannot be drawn");
        }
        Ok(())
    }
}
