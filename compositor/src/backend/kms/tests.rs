use std::cell::RefCell;
use std::rc::Rc;

use smithay::backend::renderer::element::Id;
use smithay::backend::renderer::utils::CommitCounter;

use super::*;

/// A display adapter of which only the ioctls are missing.
#[derive(Debug, Default, Clone)]
struct FakeCard(Rc<RefCell<Adapter>>);

#[derive(Debug, Default)]
struct Adapter {
    /// Number of a socket, and the modes of the monitor there.
    monitors: Vec<(u32, Vec<Mode<u32>>)>,
    /// What each call did, in order.
    log: Vec<Call>,
    /// What the next calls of `show` and `flush` answer.
    errors: Vec<i32>,
    /// What the host has of the screen.
    screen: Vec<u32>,
    buffers: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Call {
    Show(u32, u32),
    Flush(Rect),
    Hide(u32),
    Free(Size),
}

#[derive(Debug)]
struct FakeBuffer {
    bytes: Vec<u8>,
    size: Size,
    card: FakeCard,
}

/// Bytes at the end of each row that are not the picture's.
const PADDING: usize = 64;

impl Card for FakeCard {
    type Output = u32;
    type Timing = u32;
    type Buffer = FakeBuffer;

    fn monitors(&self) -> io::Result<Vec<Monitor<Self>>> {
        let monitors = self.0.borrow().monitors.clone();
        let monitors = monitors.into_iter();
        Ok(monitors
            .map(|(output, modes)| Monitor { output, modes })
            .collect())
    }

    fn buffer(&self, size: Size) -> io::Result<FakeBuffer> {
        self.0.borrow_mut().buffers += 1;
        let stride = size.w as usize * PIXEL_BYTES + PADDING;
        Ok(FakeBuffer {
            bytes: vec![0; stride * size.h as usize],
            size,
            card: self.clone(),
        })
    }

    fn show(&self, output: u32, timing: u32, buffer: &FakeBuffer) -> io::Result<()> {
        let mut adapter = self.0.borrow_mut();
        adapter.answer()?;
        adapter.log.push(Call::Show(output, timing));
        adapter.screen = vec![0; buffer.size.area() as usize];
        Ok(())
    }

    fn flush(&self, buffer: &FakeBuffer, clip: Rect) -> io::Result<()> {
        let mut adapter = self.0.borrow_mut();
        adapter.answer()?;
        adapter.log.push(Call::Flush(clip));
        for y in clip.y..clip.bottom() {
            for x in clip.x..clip.right() {
                let at = y as usize * buffer.stride() + x as usize * PIXEL_BYTES;
                let pixel = buffer.bytes[at..at + PIXEL_BYTES].try_into().unwrap();
                let place = (y * buffer.size.w + x) as usize;
                adapter.screen[place] = u32::from_le_bytes(pixel) & 0x00ff_ffff;
            }
        }
        Ok(())
    }

    fn hide(&self, output: u32) -> io::Result<()> {
        self.0.borrow_mut().log.push(Call::Hide(output));
        Ok(())
    }
}

impl Adapter {
    fn answer(&mut self) -> io::Result<()> {
        match self.errors.pop() {
            None | Some(0) => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

impl Buffer for FakeBuffer {
    fn size(&self) -> Size {
        self.size
    }

    fn stride(&self) -> usize {
        self.size.w as usize * PIXEL_BYTES + PADDING
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for FakeBuffer {
    fn drop(&mut self) {
        let mut adapter = self.card.0.borrow_mut();
        adapter.buffers -= 1;
        adapter.log.push(Call::Free(self.size));
    }
}

fn mode(w: i32, h: i32, preferred: bool) -> Mode<u32> {
    Mode {
        size: Size::new(w, h),
        refresh: 60,
        preferred,
        timing: (w * 10_000 + h).unsigned_abs(),
    }
}

fn card(modes: &[Mode<u32>]) -> FakeCard {
    let card = FakeCard::default();
    card.plug(&[(7, modes)]);
    card
}

impl FakeCard {
    fn plug(&self, monitors: &[(u32, &[Mode<u32>])]) {
        let monitors = monitors
            .iter()
            .map(|(socket, modes)| (*socket, modes.to_vec()));
        self.0.borrow_mut().monitors = monitors.collect();
    }

    fn take_log(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    /// Lets the next calls fail with these, in order.
    fn fail(&self, errors: &[i32]) {
        self.0.borrow_mut().errors = errors.iter().rev().copied().collect();
    }

    fn screen(&self) -> Vec<u32> {
        self.0.borrow().screen.clone()
    }
}

fn whole(w: i32, h: i32) -> Rect {
    Rect::new(0, 0, w, h)
}

/// A coloured rectangle that is always the same one.
#[derive(Debug)]
struct Block(Id);

impl Block {
    fn at(&self, x: i32, y: i32) -> SceneElement {
        let rect = Rect::new(x, y, 10, 10);
        SceneElement::plain(self.0.clone(), rect, 0x00ff_0000, CommitCounter::default())
    }
}

#[test]
fn only_what_changed_reaches_the_screen_and_all_of_it() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    assert_eq!(kms.size(), Size::new(640, 480));
    let block = Block(Id::new());
    kms.draw(&[block.at(0, 0)]).unwrap();
    let expected = [Call::Show(7, 6_400_480), Call::Flush(whole(640, 480))];
    assert_eq!(card.take_log(), expected);
    assert_eq!(card.screen(), kms.read());

    kms.draw(&[block.at(600, 400)]).unwrap();
    let mut log = card.take_log();
    log.sort_by_key(|call| format!("{call:?}"));
    let clips = [Rect::new(0, 0, 10, 10), Rect::new(600, 400, 10, 10)];
    assert_eq!(log, clips.map(Call::Flush));
    assert_eq!(card.screen(), kms.read());

    kms.draw(&[block.at(600, 400)]).unwrap();
    assert_eq!(card.take_log(), [], "nothing changed");
}

#[test]
fn a_frame_that_did_not_arrive_is_made_up_for() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    let block = Block(Id::new());
    kms.draw(&[block.at(0, 0)]).unwrap();
    card.fail(&[libc::ENOMEM]);
    let lost = kms.draw(&[block.at(300, 300)]).unwrap_err();
    assert!(matches!(lost, BackendError::Frame(_)));
    assert_ne!(card.screen(), kms.read());
    kms.draw(&[block.at(300, 300)]).unwrap();
    assert_eq!(card.screen(), kms.read());
}

#[test]
fn a_card_that_is_gone_ends_it() {
    for code in [libc::ENODEV, libc::EIO, libc::EACCES] {
        let card = card(&[mode(640, 480, true)]);
        let mut kms = Kms::new(card.clone()).unwrap();
        card.fail(&[code]);
        assert!(
            matches!(kms.draw(&[]), Err(BackendError::Lost(_))),
            "{code}"
        );
    }
}

#[test]
fn another_master_is_named_as_the_reason() {
    let card = card(&[mode(640, 480, true)]);
    card.fail(&[libc::EACCES]);
    let error = Kms::new(card).unwrap_err().to_string();
    assert!(error.contains("another process has the display"), "{error}");
}

#[test]
fn without_a_monitor_there_is_no_start() {
    let error = Kms::new(FakeCard::default()).unwrap_err().to_string();
    assert_eq!(error, "no monitor is connected");
    let error = Kms::new(card(&[])).unwrap_err().to_string();
    assert_eq!(error, "the monitor has no mode that can be used");
}

#[test]
fn a_mode_that_is_refused_is_not_the_last() {
    let card = card(&[mode(1024, 768, true), mode(800, 600, false)]);
    card.fail(&[libc::EINVAL]);
    let kms = Kms::new(card.clone()).unwrap();
    assert_eq!(kms.size(), Size::new(800, 600));
    assert_eq!(card.0.borrow().buffers, 1);
}

#[test]
fn a_monitor_that_prefers_another_size_gets_it() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    let block = Block(Id::new());
    kms.draw(&[block.at(5, 5)]).unwrap();
    card.take_log();
    assert!(!kms.refresh().unwrap(), "nothing changed");
    assert_eq!(card.take_log(), []);

    card.plug(&[(7, &[mode(800, 600, true), mode(640, 480, false)])]);
    assert!(kms.refresh().unwrap());
    assert_eq!(kms.size(), Size::new(800, 600));
    kms.draw(&[block.at(5, 5)]).unwrap();
    let expected = [
        Call::Show(7, 8_000_600),
        // Freed only when it is not shown any more.
        Call::Free(Size::new(640, 480)),
        Call::Flush(whole(800, 600)),
    ];
    assert_eq!(card.take_log(), expected);
    assert_eq!(card.screen(), kms.read());
}

#[test]
fn a_size_that_cannot_be_had_leaves_the_screen_as_it_is() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    card.plug(&[(7, &[mode(800, 600, true)])]);
    card.fail(&[libc::ENOMEM]);
    assert!(!kms.refresh().unwrap());
    assert_eq!(kms.size(), Size::new(640, 480));
    kms.draw(&[]).unwrap();
    assert_eq!(card.screen(), kms.read());
    assert_eq!(card.0.borrow().buffers, 1);
}

#[test]
fn a_monitor_may_go_and_another_come() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    kms.draw(&[]).unwrap();
    card.take_log();
    card.plug(&[]);
    assert!(!kms.refresh().unwrap());
    assert_eq!(
        card.take_log(),
        [Call::Hide(7), Call::Free(Size::new(640, 480))]
    );
    kms.draw(&[]).unwrap();
    assert_eq!(card.take_log(), [], "there is nothing to show it on");

    card.plug(&[(9, &[mode(640, 480, true)])]);
    assert!(kms.refresh().unwrap());
    kms.draw(&[]).unwrap();
    let expected = [Call::Show(9, 6_400_480), Call::Flush(whole(640, 480))];
    assert_eq!(card.take_log(), expected);
    assert_eq!(card.screen(), kms.read());
}

#[test]
fn the_monitor_in_use_stays_when_others_come() {
    let card = card(&[mode(640, 480, true)]);
    let mut kms = Kms::new(card.clone()).unwrap();
    card.take_log();
    card.plug(&[(1, &[mode(1024, 768, true)]), (7, &[mode(640, 480, true)])]);
    assert!(!kms.refresh().unwrap());
    assert_eq!(card.take_log(), []);
}

#[test]
fn leaving_switches_the_monitor_off_and_gives_everything_back() {
    let card = card(&[mode(640, 480, true)]);
    let kms = Kms::new(card.clone()).unwrap();
    card.take_log();
    drop(kms);
    assert_eq!(
        card.take_log(),
        [Call::Hide(7), Call::Free(Size::new(640, 480))]
    );
    assert_eq!(card.0.borrow().buffers, 0);
}
