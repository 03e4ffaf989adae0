use super::*;

fn quota(queued: u64) -> Arc<Quota> {
    Quota::new(Limits {
        queued,
        ..Limits::default()
    })
}

#[test]
fn a_charge_is_all_or_nothing_and_comes_back_on_drop() {
    let quota = quota(100);
    let charge = quota.charge(Resource::Queued, 60).unwrap();
    let over = quota.charge(Resource::Queued, 41).unwrap_err();
    assert_eq!((over.resource, over.limit), (Resource::Queued, 100));
    assert_eq!(quota.used(Resource::Queued), 60);
    drop(charge);
    assert_eq!(quota.used(Resource::Queued), 0);
}

#[test]
fn an_amount_that_would_wrap_is_refused() {
    let quota = quota(u64::MAX);
    let _held = quota.charge(Resource::Queued, 1).unwrap();
    assert!(quota.charge(Resource::Queued, u64::MAX).is_err());
}

#[test]
fn a_charge_can_be_joined_and_returned_in_parts() {
    let quota = quota(100);
    let mut charge = quota.charge(Resource::Queued, 10).unwrap();
    charge.absorb(quota.charge(Resource::Queued, 20).unwrap());
    assert_eq!(quota.used(Resource::Queued), 30);
    charge.shrink(25);
    assert_eq!(quota.used(Resource::Queued), 5);
    charge.shrink(1000);
    assert_eq!(quota.used(Resource::Queued), 0);
    drop(charge);
    assert_eq!(quota.used(Resource::Queued), 0);
}
