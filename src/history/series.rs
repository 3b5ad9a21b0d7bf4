//! The buckets of one length, sorted by time. Their number is bounded.

use std::collections::VecDeque;

use super::bucket::Bucket;

/// Buckets of one length, sorted by their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    buckets: VecDeque<Bucket>,
}

impl Series {
    /// The bucket with this number, which is created if it is missing. Keeps at most `capacity` buckets.
    ///
    /// The bucket farthest from this one is dropped first. Normally that is the oldest one. If the wall clock was wrong for a while,
    /// buckets in the far future are dropped before those of the real past.
    pub fn bucket(&mut self, index: u32, capacity: usize) -> &mut Bucket {
        let position = match self.find(index) {
            Ok(position) => position,
            Err(mut position) => {
                self.reserve();
                self.buckets.insert(position, Bucket::new(index));
                while self.buckets.len() > capacity.max(1) {
                    if self.drop_farthest(index) {
                        position -= 1;
                    }
                }
                position
            }
        };
        &mut self.buckets[position]
    }

    /// Makes room for another bucket. Doubling the room would waste half of the memory.
    fn reserve(&mut self) {
        if self.buckets.len() == self.buckets.capacity() {
            self.buckets.reserve_exact(self.buckets.len() / 8 + 4);
        }
    }

    fn find(&self, index: u32) -> Result<usize, usize> {
        // Almost always the last one, or a new one after it.
        match self.buckets.back() {
            None => Err(0),
            Some(last) if last.index == index => Ok(self.buckets.len() - 1),
            Some(last) if last.index < index => Err(self.buckets.len()),
            Some(_) => self.buckets.binary_search_by_key(&index, |bucket| bucket.index),
        }
    }

    /// Drops the first or the last bucket. Returns whether it was the first one.
    fn drop_farthest(&mut self, index: u32) -> bool {
        let distance = |bucket: Option<&Bucket>| bucket.map_or(0, |bucket| bucket.index.abs_diff(index));
        let is_first = distance(self.buckets.front()) >= distance(self.buckets.back());
        match is_first {
            true => self.buckets.pop_front(),
            false => self.buckets.pop_back(),
        };
        is_first
    }

    /// Drops the buckets farthest from `index` until at most `capacity` are left.
    pub fn shrink(&mut self, index: u32, capacity: usize) {
        while self.buckets.len() > capacity {
            self.drop_farthest(index);
        }
        self.buckets.shrink_to(capacity);
    }

    /// The bucket with this number.
    pub fn get(&self, index: u32) -> Option<&Bucket> {
        self.find(index)
            .ok()
            .and_then(|position| self.buckets.get(position))
    }

    /// The buckets from one number to another one, inclusive.
    pub fn range(&self, first: u32, last: u32) -> impl Iterator<Item = &Bucket> {
        let from = self.buckets.partition_point(|bucket| bucket.index < first);
        self.buckets
            .range(from..)
            .take_while(move |bucket| bucket.index <= last)
    }

    /// The buckets, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Bucket> {
        self.buckets.iter()
    }

    /// The number of the newest bucket.
    pub fn newest(&self) -> Option<u32> {
        self.buckets.back().map(|bucket| bucket.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(series: &Series) -> Vec<u32> {
        series.iter().map(|bucket| bucket.index).collect()
    }

    #[test]
    fn the_farthest_bucket_is_dropped_first() {
        let mut series = Series::default();
        for index in [10, 11, 9000, 12, 13] {
            assert_eq!(series.bucket(index, 4).index, index);
        }
        assert_eq!(
            indexes(&series),
            [10, 11, 12, 13],
            "a wrong clock does not displace the past"
        );
        series.bucket(14, 4);
        assert_eq!(indexes(&series), [11, 12, 13, 14]);
        series.bucket(9, 4).responses = 7;
        assert_eq!(series.get(9).map(|bucket| bucket.responses), Some(7));
        assert_eq!(indexes(&series), [9, 11, 12, 13]);
        series.shrink(13, 2);
        assert_eq!(indexes(&series), [12, 13]);
        let range: Vec<u32> = series.range(13, 20).map(|bucket| bucket.index).collect();
        assert_eq!(range, [13]);
    }
}
