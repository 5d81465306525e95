//! Tiles and entry bundles: C2SP `tlog-tiles`.
//!
//! A tree is published as files: tiles of up to 256 hashes of one level, and bundles of up to 256 entries.
//!
//! ```text
//! tile/<level>/<index>[.p/<width>]      hashes, 32 bytes each
//! tile/entries/<index>[.p/<width>]      entries, each behind its length in 16 bits, big-endian
//! ```
//!
//! Hash i of tile n at level l is that of the leaves `(256 n + i) * 256^l` to `(256 n + i + 1) * 256^l`. A tile with
//! fewer than 256 hashes is partial and named with its width. The index is written in groups of three digits, all
//! but the last behind an `x`: 1234067 is `x001/x234/067`.

use std::fmt;
use std::str::FromStr;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree between one level of tiles and the next.
pub const TILE_HEIGHT: u32 = TILE_WIDTH.ilog2();

/// The highest level of tiles whose paths are valid.
const MAX_LEVEL: u8 = 63;

/// A tile or a bundle: what is in the file at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Hashes or entries.
    pub content: TileContent,
    /// Its index in its level.
    pub index: u64,
    /// How many hashes or entries it has: 1 to 256.
    pub width: u16,
}

/// What a tile consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileContent {
    /// Hashes of that level.
    Hashes {
        /// 0 for the hashes of leaves.
        level: u8,
    },
    /// The entries themselves.
    Entries,
}

/// The path is not that of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile")]
pub struct NotATile;

/// All tiles of hashes of a tree of that size, from below, each level from the left.
pub fn tiles_of(size: u64) -> impl Iterator<Item = Tile> {
    (0..u64::BITS.div_ceil(TILE_HEIGHT)).flat_map(move |level| {
        let content = TileContent::Hashes { level: u8::try_from(level).expect("there are eight levels") };
        tiles_over(content, size >> (TILE_HEIGHT * level))
    })
}

/// All bundles of a log of that size, from the left.
pub fn bundles_of(size: u64) -> impl Iterator<Item = Tile> {
    tiles_over(TileContent::Entries, size)
}

fn tiles_over(content: TileContent, count: u64) -> impl Iterator<Item = Tile> {
    (0..count.div_ceil(TILE_WIDTH)).map(move |index| {
        let width = (count - index * TILE_WIDTH).min(TILE_WIDTH);
        Tile { content, index, width: u16::try_from(width).expect("a tile is at most 256 wide") }
    })
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            TileContent::Hashes { level } => write!(f, "tile/{level}/")?,
            TileContent::Entries => f.write_str("tile/entries/")?,
        }
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if u64::from(self.width) < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for Tile {
    type Err = NotATile;

    fn from_str(path: &str) -> Result<Self, NotATile> {
        let tile = parse(path).ok_or(NotATile)?;
        // Leading zeroes and the like: a tile has one path only.
        if tile.to_string() == path { Ok(tile) } else { Err(NotATile) }
    }
}

fn parse(path: &str) -> Option<Tile> {
    let (content, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let content = match content {
        "entries" => TileContent::Entries,
        level => TileContent::Hashes { level: level.parse().ok().filter(|level| *level <= MAX_LEVEL)? },
    };
    let (index, width) = match rest.split_once(".p/") {
        None => (rest, TILE_WIDTH),
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width))?),
    };
    let mut value: u64 = 0;
    for group in index.split('/') {
        let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok().filter(|group| *group < 1000)?;
        value = value.checked_mul(1000)?.checked_add(group)?;
    }
    Some(Tile { content, index: value, width: u16::try_from(width).ok()? })
}

/// Appends an entry to a bundle. `None`, and nothing appended, where it is longer than 65,535 bytes.
#[must_use]
pub fn append_to_bundle(bundle: &mut Vec<u8>, entry: &[u8]) -> Option<()> {
    let length = u16::try_from(entry.len()).ok()?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Some(())
}

/// The entries of a bundle; `None` in place of the first that runs past its end.
pub fn entries_of_bundle(bundle: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = Some(bundle);
    std::iter::from_fn(move || {
        let bundle = rest.take().filter(|bundle| !bundle.is_empty())?;
        let entry = bundle
            .split_first_chunk::<2>()
            .and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        rest = entry.map(|(_, after)| after);
        Some(entry.map(|(entry, _)| entry))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hashes(level: u8, index: u64, width: u16) -> Tile {
        Tile { content: TileContent::Hashes { level }, index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        for (tile, path) in [
            (hashes(0, 1_234_067, 256), "tile/0/x001/x234/067"),
            (hashes(63, 0, 1), "tile/63/000.p/1"),
            (hashes(2, 1000, 255), "tile/2/x001/000.p/255"),
            (Tile { content: TileContent::Entries, index: 999, width: 256 }, "tile/entries/999"),
        ] {
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile));
        }
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0/",
            "tile/0/1",
            "tile/0/01",
            "tile/0/0001",
            "tile/00/001",
            "tile/64/001",
            "tile/+1/001",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/01",
            "tile/0/001.p/",
            "/tile/0/001",
            "tile/0/001/",
            "tile/data/001",
            "tile/0/x018/x446/x744/x073/x709/x551/x616/000",
        ] {
            assert_eq!(path.parse::<Tile>(), Err(NotATile), "{path}");
        }
    }

    #[test]
    fn the_tiles_of_a_tree_are_those_of_the_specification() {
        // The specification's own example.
        let tiles: Vec<_> = tiles_of(70_000).collect();
        assert_eq!(tiles.len(), 274 + 2 + 1);
        assert_eq!(tiles[272], hashes(0, 272, 256));
        assert_eq!(tiles[273..], [hashes(0, 273, 112), hashes(1, 0, 256), hashes(1, 1, 17), hashes(2, 0, 1)]);
        assert_eq!(tiles_of(256).collect::<Vec<_>>(), [hashes(0, 0, 256), hashes(1, 0, 1)]);
        assert_eq!(tiles_of(0).count(), 0);
        assert_eq!(bundles_of(257).count(), 2);
    }

    proptest! {
        #[test]
        fn paths_read_back(level in 0..=MAX_LEVEL, index in any::<u64>(), width in 1u16..=256) {
            let tile = hashes(level, index, width);
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
        }

        #[test]
        fn parsing_a_path_never_panics(path in "(tile/)?[0-9x/.p]{0,40}") {
            let _ = path.parse::<Tile>();
        }

        #[test]
        fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10), cut in any::<prop::sample::Index>()) {
            let mut bundle = Vec::new();
            for entry in &entries {
                append_to_bundle(&mut bundle, entry).unwrap();
            }
            prop_assert_eq!(entries_of_bundle(&bundle).map(Option::unwrap).collect::<Vec<_>>(), entries);
            if !bundle.is_empty() {
                // Cut short, it gives what is whole, then at most one `None`, and ends.
                let cut = cut.index(bundle.len());
                let read: Vec<_> = entries_of_bundle(&bundle[..cut]).collect();
                let whole = read.iter().take_while(|entry| entry.is_some()).count();
                prop_assert!(read.len() - whole <= 1);
            }
        }
    }

    #[test]
    fn an_entry_too_long_for_its_length_is_not_appended() {
        let mut bundle = Vec::new();
        assert_eq!(append_to_bundle(&mut bundle, &[0; 65_536]), None);
        assert!(bundle.is_empty());
        assert_eq!(append_to_bundle(&mut bundle, &[0; 65_535]), Some(()));
    }
}
