use proptest::prelude::*;
use wayland_client::protocol::{wl_callback::WlCallback, wl_data_offer::WlDataOffer};

use super::*;

type Table = Objects<()>;

fn callback() -> &'static Interface {
    WlCallback::interface()
}

#[test]
fn the_display_is_there_and_stays() {
    let mut objects = Table::default();
    assert_eq!(objects.get_alive(1).expect("it").role, Role::Display);
    assert_eq!(objects.by_host(1), Some(HostObject::Client(1)));
    assert_eq!(objects.host_deleted(1), None);
    assert!(objects.remove_local(1).is_none());
    assert!(objects.get_alive(1).is_some());
}

#[test]
fn ids_of_both_sides_go_their_own_ways() {
    let mut objects = Table::default();
    let pool = objects.allocate_host(HostObject::OwnPool);
    assert_eq!(pool, 2);
    assert_eq!(objects.create(2, callback(), 1), Ok(3));
    objects.create_local(3, callback(), 1).expect("free");
    assert_eq!(objects.create(4, callback(), 1), Ok(4));
    assert_eq!(objects.by_host(3), Some(HostObject::Client(2)));
    objects.remove_local(3).expect("local");
    assert_eq!(objects.create(3, callback(), 1), Ok(5));
}

#[test]
fn an_id_is_free_when_the_host_says_so() {
    let mut objects = Table::default();
    let host = objects.create(2, callback(), 1).expect("free");
    objects.get_mut(2).expect("it").alive = false;
    assert!(objects.get_alive(2).is_none());
    assert_eq!(
        objects.create(2, callback(), 1),
        Err(BadId::Invalid(2)),
        "not yet"
    );
    assert_eq!(objects.host_deleted(host), Some(HostObject::Client(2)));
    assert_eq!(objects.host_deleted(host), None, "only once");
    assert_eq!(objects.create(2, callback(), 1), Ok(host), "used again");
}

#[test]
fn bad_ids_are_refused() {
    let mut objects = Table::default();
    for id in [0, 1, 3, SERVER_ID_BASE, u32::MAX] {
        assert_eq!(objects.create(id, callback(), 1), Err(BadId::Invalid(id)));
    }
    for id in [0, 5, SERVER_ID_BASE + 1] {
        assert_eq!(
            objects.create_by_host(id, callback(), 1),
            Err(BadId::Invalid(id))
        );
    }
    assert!(objects.get(0).is_none() && objects.get(u32::MAX).is_none());
    assert_eq!(objects.by_host(0), None);
    assert_eq!(objects.host_deleted(0), None);
    assert_eq!(objects.host_deleted(u32::MAX), None);
}

#[test]
fn objects_are_limited() {
    let mut objects = Table::default();
    for id in 2..=MAX_OBJECTS as u32 {
        objects.create(id, callback(), 1).expect("within the limit");
    }
    let next = MAX_OBJECTS as u32 + 1;
    assert_eq!(objects.create(next, callback(), 1), Err(BadId::TooMany));
}

#[test]
fn the_host_may_use_its_ids_again_at_once() {
    let mut objects = Table::default();
    let id = SERVER_ID_BASE;
    objects
        .create_by_host(id, WlDataOffer::interface(), 3)
        .expect("the first");
    let serial = objects.get(id).expect("it").serial;
    objects.create_by_host(id, callback(), 1).expect("again");
    let object = objects.get(id).expect("it");
    assert!(object.serial > serial);
    assert_eq!(object.interface.name, "wl_callback");
    assert_eq!(objects.by_host(id), Some(HostObject::Client(id)));
}

proptest! {
    /// Both tables agree with each other after any sequence of operations.
    #[test]
    fn the_tables_mirror_each_other(ops in prop::collection::vec((0..5_u8, 1..40_u32), 0..200)) {
        let mut objects = Table::default();
        for (op, number) in ops {
            match op {
                0 => drop(objects.create(number, callback(), 1)),
                1 => drop(objects.create_local(number, callback(), 1)),
                2 => drop(objects.remove_local(number)),
                3 => drop(objects.host_deleted(number)),
                _ => drop(objects.allocate_host(HostObject::OwnPool)),
            }
            for id in 1..=objects.client.len() as u32 {
                if let Some(host) = objects.get(id).and_then(|object| object.host) {
                    prop_assert_eq!(objects.by_host(host), Some(HostObject::Client(id)));
                }
            }
            for host in 1..=objects.host.len() as u32 {
                match objects.by_host(host) {
                    Some(HostObject::Client(id)) => {
                        let object = objects.get(id).expect("a counterpart");
                        prop_assert_eq!(object.host, Some(host));
                    }
                    Some(_) => {}
                    None => prop_assert!(objects.free.contains(&host)),
                }
            }
        }
    }
}
