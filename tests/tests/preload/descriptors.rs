//! Descriptors, both ways.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use anyhow::{Context as _, Result, ensure};
use integration_tests::wire::Client;

use crate::pools::{Pool, SHM_CREATE_POOL};
use crate::server::{Server, Settings};

crate::on_each_libwayland! {
    keymaps_of_64_kib_arrive_whole_and_no_two_clients_share_one,
    more_descriptors_wait_than_fit_a_message,
    a_message_with_28_descriptors_is_taken,
}

/// wl_seat.get_keyboard
const GET_KEYBOARD: u16 = 1;

/// wl_keyboard.keymap
const KEYMAP: u16 = 0;

/// Most descriptors that libwayland puts into one message.
const MAX_FDS: usize = 28;

const KEYMAP_SIZE: usize = 65536;

/// Asks for a keyboard; all the keymaps that come.
fn keymaps(client: &mut Client, count: usize) -> Result<Vec<OwnedFd>> {
    let seat = client.bind("wl_seat", 5)?;
    let keyboard = client.new_id();
    client.request(seat, GET_KEYBOARD, &[keyboard], &[])?;
    let events = client.sync()?;
    let sent = events
        .iter()
        .filter(|event| event.object == keyboard && event.opcode == KEYMAP);
    let sizes: Vec<_> = sent.map(|event| event.word(1)).collect::<Result<_>>()?;
    ensure!(
        sizes == vec![u32::try_from(KEYMAP_SIZE)?; count],
        "keymaps of {sizes:?} bytes"
    );
    ensure!(
        client.fds.len() == count,
        "{} descriptors with {count} keymaps",
        client.fds.len()
    );
    Ok(client.fds.drain(..).collect())
}

/// Its content is that of the server's keymap; which file it is.
fn check_keymap(fd: OwnedFd) -> Result<u64> {
    let file = std::fs::File::from(fd);
    let mut bytes = vec![0; KEYMAP_SIZE];
    file.read_exact_at(&mut bytes, 0).context("keymap")?;
    let wrong = (0..KEYMAP_SIZE).find(|&at| bytes[at] != (at * 7 + at / 256) as u8);
    ensure!(wrong.is_none(), "the keymap is wrong at {wrong:?}");
    Ok(file.metadata()?.ino())
}

fn keymaps_of_64_kib_arrive_whole_and_no_two_clients_share_one(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut inodes = BTreeSet::new();
    for _ in 0..4 {
        let mut client = server.client()?;
        for keymap in keymaps(&mut client, 1)? {
            inodes.insert(check_keymap(keymap)?);
        }
    }
    ensure!(inodes.len() == 4, "{} files for 4 clients", inodes.len());
    server.stop()
}

fn more_descriptors_wait_than_fit_a_message(base: Settings) -> Result<()> {
    const KEYMAPS: usize = 3 * MAX_FDS + 5;
    let server = Server::start(Settings {
        keymaps: KEYMAPS,
        ..base
    })?;
    let mut client = server.client()?;
    let mut inodes = BTreeSet::new();
    for keymap in keymaps(&mut client, KEYMAPS)? {
        inodes.insert(check_keymap(keymap)?);
    }
    ensure!(inodes.len() == KEYMAPS, "{} files", inodes.len());
    server.stop()
}

fn a_message_with_28_descriptors_is_taken(base: Settings) -> Result<()> {
    let server = Server::start(base)?;
    let mut client = server.client()?;
    let shm = client.bind("wl_shm", 1)?;
    let files: Vec<_> = (0..MAX_FDS)
        .map(|at| Pool::file(4096, u8::try_from(at)?))
        .collect::<Result<_>>()?;
    let pools: Vec<_> = files.iter().map(|_| client.new_id()).collect();
    let requests: Vec<u8> = pools
        .iter()
        .flat_map(|&pool| Client::encode(shm, SHM_CREATE_POOL, &[pool, 4096]))
        .collect();
    let fds: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    client.send(&requests, &fds)?;
    for (at, pool) in pools.into_iter().enumerate() {
        let sum = Pool::known(pool, 4096).sum(&mut client, 0, 4096)?;
        ensure!(sum as usize == 4096 * at, "pool {at} has the sum {sum}");
    }
    server.stop()
}
