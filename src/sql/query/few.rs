//! Sets that grow with a statement, but not without end.

/// Adds what is not there yet, as long as there are fewer than `most`. Whether something found no room.
pub(super) fn add_few<T: Copy + PartialEq>(set: &mut Vec<T>, more: &[T], most: usize) -> bool {
    for item in more {
        if set.contains(item) {
            continue;
        }
        if set.len() == most {
            return true;
        }
        set.push(*item);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_told() {
        let mut set = vec![1, 2];
        assert!(!add_few(&mut set, &[2, 3], 3));
        assert!(!add_few(&mut set, &[1, 3], 3));
        assert!(add_few(&mut set, &[3, 4, 5], 3));
        assert_eq!(set, [1, 2, 3]);
    }
}
