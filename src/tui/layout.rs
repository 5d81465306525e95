//! Where things stand. A plain function of the terminal's size.

use ratatui::layout::{Rect, Size};

use super::state::Focus;

/// Below this nothing is shown but that it is too small.
pub(super) const SMALLEST: Size = Size { width: 60, height: 16 };
/// From this width on list and detail stand side by side.
const WIDE: u16 = 110;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) tabs: Rect,
    pub(super) banners: Rect,
    /// Everything between.
    pub(super) body: Rect,
    /// The list, its title first.
    pub(super) list: Rect,
    /// The detail, its title first.
    pub(super) detail: Rect,
    pub(super) bottom: Rect,
}

impl Areas {
    /// Rows of the list below its title.
    pub(super) fn list_rows(&self) -> u16 {
        self.list.height.saturating_sub(1)
    }

    /// Rows of the detail below its title.
    pub(super) fn detail_rows(&self) -> usize {
        usize::from(self.detail.height.saturating_sub(1))
    }
}

/// The parts of a screen; `None` where it is too small.
pub(super) fn areas(size: Size, banners: usize, focus: Focus) -> Option<Areas> {
    if size.width < SMALLEST.width || size.height < SMALLEST.height {
        return None;
    }
    let banners = u16::try_from(banners).unwrap_or(u16::MAX).min(3);
    let part = |y: u16, height: u16| Rect { x: 0, y, width: size.width, height };
    let body = part(1 + banners, size.height - 2 - banners);
    let (list, detail) = if size.width >= WIDE {
        let left = (size.width * 2 / 5).min(64);
        let list = Rect { width: left, ..body };
        (list, Rect { x: left + 2, width: size.width - left - 2, ..body })
    } else {
        let share = if focus == Focus::Detail { body.height / 5 } else { body.height * 2 / 5 };
        let top = share.max(3);
        (Rect { height: top, ..body }, Rect { y: body.y + top, height: body.height - top, ..body })
    };
    Some(Areas { tabs: part(0, 1), banners: part(1, banners), body, list, detail, bottom: part(size.height - 1, 1) })
}

/// A box in the middle.
pub(super) fn middle(size: Size, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(size.width), height.min(size.height));
    Rect { x: (size.width - width) / 2, y: (size.height - height) / 2, width, height }
}
