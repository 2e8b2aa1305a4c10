//! A file of pages and sorted records in it: read by `pread` through a small cache, found by the first key of each page.
//!
//! Knows no meaning. Nothing is mapped, so a file that is cut or changed under us is an error of a read, never a signal.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Pages that are kept of one file: 4 MiB.
const KEPT: usize = 1024;

type Slot = Option<(u64, Arc<[u8]>)>;

/// The pages of a file.
pub struct Pages {
    file: File,
    kept: Mutex<Vec<Slot>>,
}

impl Pages {
    /// Over an open file.
    pub fn new(file: File) -> Pages {
        Pages { file, kept: Mutex::new(Vec::new()) }
    }
    /// A page by its number; shorter than [`PAGE`] only at the end of the file.
    pub fn page(&self, number: u64) -> io::Result<Arc<[u8]>> {
        let slot = usize::try_from(number).unwrap_or(0) % KEPT;
        {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Some((of, page))) = kept.get(slot)
                && *of == number
            {
                return Ok(Arc::clone(page));
            }
        }
        let mut bytes = [0u8; PAGE];
        let mut read = 0;
        while read < PAGE {
            match self.file.read_at(&mut bytes[read..], number.saturating_mul(PAGE as u64) + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let page: Arc<[u8]> = Arc::from(&bytes[..read]);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() {
            kept.resize(KEPT, None);
        }
        kept[slot] = Some((number, Arc::clone(&page)));
        Ok(page)
    }
    /// Bytes from an offset, which must all be there.
    pub fn bytes(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(len.min(1 << 20));
        let mut at = at;
        while out.len() < len {
            let page = self.page(at / PAGE as u64)?;
            let from = (at % PAGE as u64) as usize;
            let part = page.get(from..).filter(|p| !p.is_empty()).ok_or_else(cut)?;
            let taken = part.len().min(len - out.len());
            out.extend_from_slice(&part[..taken]);
            at += taken as u64;
        }
        Ok(out)
    }
    /// Many bytes from an offset, past the cache.
    pub fn bulk(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; len];
        self.file.read_exact_at(&mut out, at)?;
        Ok(out)
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the table breaks off")
}

/// Where a run of sorted records is, and what finds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Number of its first page.
    pub page: u64,
    /// Records.
    pub count: u64,
    /// Offset of the first keys of its pages.
    pub index: u64,
    /// Bytes of a record, and of the key that it begins with.
    pub width: u16,
    /// Bytes of the key.
    pub key: u16,
}

/// Sorted records of a file.
pub struct Sorted {
    pages: Arc<Pages>,
    place: Place,
    /// The first key of each page.
    first: Vec<u8>,
}

impl Sorted {
    /// Opens a run: reads its index. `size` is that of the file; a place that does not fit it is refused.
    pub fn open(pages: &Arc<Pages>, place: Place, size: u64) -> io::Result<Sorted> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the table's contents are not where it says");
        let (width, key) = (usize::from(place.width), usize::from(place.key));
        if width == 0 || key == 0 || key > width || width > PAGE {
            return Err(wrong());
        }
        let count = place.count.div_ceil((PAGE / width) as u64);
        let index = count.checked_mul(key as u64).and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong)?;
        let end = place.page.checked_add(count).and_then(|p| p.checked_mul(PAGE as u64)).ok_or_else(wrong)?;
        if end > size || place.index.checked_add(index as u64).is_none_or(|e| e > size) {
            return Err(wrong());
        }
        Ok(Sorted { pages: Arc::clone(pages), place, first: pages.bulk(place.index, index)? })
    }
    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.place.count
    }
    fn per_page(&self) -> usize {
        PAGE / usize::from(self.place.width)
    }
    /// The page of a record, and where it begins there.
    fn find(&self, n: u64) -> io::Result<(Arc<[u8]>, usize)> {
        let per = self.per_page() as u64;
        let page = self.pages.page(self.place.page + n / per)?;
        Ok((page, (n % per) as usize * usize::from(self.place.width)))
    }
    /// A record by its number.
    pub fn record(&self, n: u64) -> io::Result<Vec<u8>> {
        let (page, at) = self.find(n)?;
        page.get(at..at + usize::from(self.place.width)).map(<[u8]>::to_vec).ok_or_else(cut)
    }
    /// The number of the first record whose key is not below a key; the number of records if all are.
    pub fn lower(&self, key: &[u8]) -> io::Result<u64> {
        let (width, len) = (usize::from(self.place.width), usize::from(self.place.key));
        let pages = self.first.len() / len;
        // The last page that begins below the key; what is not below it begins there or on the next.
        let (mut low, mut high) = (0, pages);
        while low < high {
            let middle = usize::midpoint(low, high);
            if &self.first[middle * len..(middle + 1) * len] < key { low = middle + 1 } else { high = middle }
        }
        let Some(number) = low.checked_sub(1) else { return Ok(0) };
        let page = self.pages.page(self.place.page + number as u64)?;
        let here = (self.count() - (number * self.per_page()) as u64).min(self.per_page() as u64) as usize;
        let (mut low, mut high) = (0, here);
        while low < high {
            let middle = usize::midpoint(low, high);
            let of = page.get(middle * width..middle * width + len).ok_or_else(cut)?;
            if of < key { low = middle + 1 } else { high = middle }
        }
        Ok((number * self.per_page() + low) as u64)
    }
    /// Every record in order, read in large pieces; `false` stops.
    pub fn each(&self, each: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        const AT_ONCE: u64 = 64;
        let (width, per) = (usize::from(self.place.width), self.per_page());
        let mut left = self.count();
        let mut page = 0;
        while left > 0 {
            let pages = left.div_ceil(per as u64).min(AT_ONCE);
            let bytes = self.pages.bulk((self.place.page + page) * PAGE as u64, pages as usize * PAGE)?;
            for one in bytes.chunks(PAGE) {
                let here = left.min(per as u64);
                for record in one.chunks_exact(width).take(here as usize) {
                    if !each(record) {
                        return Ok(());
                    }
                }
                left -= here;
            }
            page += pages;
        }
        Ok(())
    }
}

/// Writes sorted records page by page.
pub struct SortedWriter {
    width: usize,
    key: usize,
    page: Vec<u8>,
    first: Vec<u8>,
    begun: u64,
    count: u64,
}

impl SortedWriter {
    /// Of records of a width that begin with a key; `at` is where the file is, on a page boundary.
    pub fn new(width: usize, key: usize, at: u64) -> SortedWriter {
        SortedWriter { width, key, page: Vec::with_capacity(PAGE), first: Vec::new(), begun: at / PAGE as u64, count: 0 }
    }
    /// The next record, whose key is not below that of the last.
    pub fn push(&mut self, record: &[u8], to: &mut impl Write) -> io::Result<()> {
        if self.page.is_empty() {
            self.first.extend_from_slice(&record[..self.key]);
        }
        self.page.extend_from_slice(record);
        self.count += 1;
        if self.page.len() + self.width > PAGE { self.flush(to) } else { Ok(()) }
    }
    fn flush(&mut self, to: &mut impl Write) -> io::Result<()> {
        if !self.page.is_empty() {
            self.page.resize(PAGE, 0);
            to.write_all(&self.page)?;
            self.page.clear();
        }
        Ok(())
    }
    /// Ends the run: writes its index behind it, up to the next page, and gives its place.
    pub fn end(mut self, to: &mut impl Write) -> io::Result<Place> {
        self.flush(to)?;
        let pages = self.count.div_ceil((PAGE / self.width) as u64);
        let index = (self.begun + pages) * PAGE as u64;
        let place = Place { page: self.begun, count: self.count, index, width: self.width as u16, key: self.key as u16 };
        to.write_all(&self.first)?;
        // What follows begins on a page again.
        let rest = self.first.len().next_multiple_of(PAGE) - self.first.len();
        to.write_all(&vec![0; rest])?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(numbers: &[u32]) -> (Sorted, u64) {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = SortedWriter::new(13, 4, 0);
        for n in numbers {
            let mut record = n.to_be_bytes().to_vec();
            record.resize(13, 7);
            writer.push(&record, &mut file).unwrap();
        }
        let place = writer.end(&mut file).unwrap();
        let size = file.metadata().unwrap().len();
        (Sorted::open(&Arc::new(Pages::new(file)), place, size).unwrap(), size)
    }

    #[test]
    fn records_are_found_across_pages_and_duplicates() {
        for count in [0u32, 1, 314, 315, 316, 2000] {
            // Each number three times, only even ones.
            let numbers: Vec<u32> = (0..count).map(|n| n / 3 * 2).collect();
            let (sorted, _) = sorted(&numbers);
            assert_eq!(sorted.count(), u64::from(count));
            for probe in 0..count + 2 {
                let want = numbers.partition_point(|n| *n < probe) as u64;
                assert_eq!(sorted.lower(&probe.to_be_bytes()).unwrap(), want, "{probe} of {count}");
            }
            let mut all = Vec::new();
            sorted
                .each(&mut |r| {
                    all.push(u32::from_be_bytes([r[0], r[1], r[2], r[3]]));
                    true
                })
                .unwrap();
            assert_eq!(all, numbers);
            if count > 0 {
                assert_eq!(sorted.record(u64::from(count) - 1).unwrap()[..4], numbers[count as usize - 1].to_be_bytes());
            }
        }
    }

    #[test]
    fn a_place_that_does_not_fit_the_file_is_refused() {
        let (sorted, size) = sorted(&[1, 2, 3]);
        for place in [
            Place { count: u64::MAX, ..sorted.place },
            Place { page: u64::MAX / 8, ..sorted.place },
            Place { index: size, ..sorted.place },
            Place { width: 0, ..sorted.place },
            Place { key: 99, ..sorted.place },
        ] {
            assert!(Sorted::open(&sorted.pages, place, size).is_err(), "{place:?}");
        }
    }
}
