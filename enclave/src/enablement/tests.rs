use super::*;

/// Seals nothing: what is sealed is the store's own tests' to know.
struct Clear;

impl gate::keep::RowCipher for Clear {
    fn seal(&self, _: &str, _: &[u8], _: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(body.to_vec())
    }

    fn open(&self, _: &'static str, _: &[u8], _: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(sealed.to_vec())
    }
}

impl Pseudonyms for Clear {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        evidence::mac(&[5; 32], "sealgate/pseudonym/v1", &[kind.as_bytes(), value])
    }
}

async fn store() -> Arc<Store> {
    Arc::new(Store::in_memory(Arc::new(Clear)).await.unwrap())
}

fn over(store: &Arc<Store>) -> Enablement {
    Enablement::new(Arc::clone(store), Arc::new(Clear))
}

fn id(n: usize) -> ServerId {
    format!("0193e3a2-6b5c-5f7d-9c1e-{n:012x}").parse().unwrap()
}

const WALLET: Principal = Principal::Wallet(evidence::Wallet::new([1; 20]));
const OTHER: Principal = Principal::Wallet(evidence::Wallet::new([2; 20]));
const ON: Result<Change, NotSwitched> = Ok(Change { changed: true, is_kept: true });
const SAME: Result<Change, NotSwitched> = Ok(Change { changed: false, is_kept: true });

fn scope(principal: &Principal, runtime: Option<&str>, session: Option<&str>) -> Scope {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Scope::of(principal, Narrower { runtime: text(runtime), session: text(session) }).unwrap()
}

#[tokio::test]
async fn scopes_share_nothing() {
    let switches = over(&store().await);
    let (one, two) = (scope(&Principal::Anonymous, None, Some("one")), scope(&Principal::Anonymous, None, Some("two")));
    let member = scope(&WALLET, None, None);
    assert_eq!(switches.enable(&one, &id(0)).await, ON);
    assert_eq!(switches.enable(&one, &id(0)).await, SAME);
    assert_eq!(switches.enabled(&one), [id(0)]);
    assert!(switches.enabled(&two).is_empty() && switches.enabled(&member).is_empty());
    assert_eq!(switches.disable(&one, &id(0)).await, ON);
    assert_eq!(switches.disable(&one, &id(0)).await, SAME);
    assert_eq!(Scope::of(&Principal::Anonymous, None), None);
    let runtime = Narrower { runtime: Some("mine".into()), session: None };
    assert_eq!(Scope::of(&Principal::Anonymous, runtime), None, "strangers have no runtime scope");
    let names = [one, two, member, scope(&WALLET, Some("one"), None), scope(&WALLET, None, Some("one"))];
    let keys: BTreeSet<String> = names.iter().map(Scope::key).collect();
    assert_eq!(keys.len(), names.len());
    assert!(names[2..].iter().all(|scope| scope.key().starts_with(&Scope::keys_of(&WALLET))));
}

#[tokio::test]
async fn a_narrower_scope_begins_with_what_the_wider_has_and_goes_its_own_way() {
    let switches = over(&store().await);
    let (member, runtime) = (scope(&WALLET, None, None), scope(&WALLET, Some("r"), None));
    let (session, both) = (scope(&WALLET, None, Some("s")), scope(&WALLET, Some("r"), Some("s")));
    switches.enable(&member, &id(0)).await.unwrap();
    for scope in [&member, &runtime, &session, &both] {
        assert_eq!(switches.enabled(scope), [id(0)]);
    }
    switches.enable(&runtime, &id(1)).await.unwrap();
    assert_eq!(switches.enabled(&both), [id(0), id(1)], "a session within a runtime scope");
    assert_eq!(switches.enabled(&session), [id(0)]);
    switches.disable(&both, &id(0)).await.unwrap();
    assert_eq!((switches.enabled(&both), switches.enabled(&runtime)), (vec![id(1)], vec![id(0), id(1)]));
    switches.enable(&member, &id(2)).await.unwrap();
    assert_eq!(switches.enabled(&runtime), [id(0), id(1)], "it goes its own way");
    assert_eq!(switches.enabled(&session), [id(0), id(2)], "this one has no way of its own yet");
}

#[tokio::test]
async fn switches_of_a_wallet_survive_and_those_of_a_stranger_do_not() {
    let store = store().await;
    let (member, runtime) = (scope(&WALLET, None, None), scope(&WALLET, Some("r"), None));
    let stranger = scope(&Principal::Anonymous, None, Some("one"));
    let before = over(&store);
    assert_eq!(before.load(&WALLET).await, Ok(false));
    for (scope, server) in [(&member, 0), (&runtime, 1), (&stranger, 2)] {
        before.enable(scope, &id(server)).await.unwrap();
    }
    for _ in 0..2 {
        let after = over(&store);
        assert!(!after.knows(&WALLET));
        assert_eq!(after.load(&WALLET).await, Ok(true));
        assert!(after.knows(&WALLET) && !after.knows(&OTHER));
        assert_eq!((after.enabled(&member), after.enabled(&runtime)), (vec![id(0)], vec![id(0), id(1)]));
        assert!(after.enabled(&stranger).is_empty());
        assert_eq!(after.load(&OTHER).await, Ok(false));
        assert_eq!(after.enable(&runtime, &id(3)).await, ON);
        after.disable(&runtime, &id(3)).await.unwrap();
    }
    let after = over(&store);
    assert_eq!(after.disable(&member, &id(0)).await, ON, "also where nobody loaded it before");
    let after = over(&store);
    assert_eq!(after.load(&WALLET).await, Ok(true), "all off is not never on");
    assert!(after.enabled(&member).is_empty());
}

#[tokio::test]
async fn what_secrets_switch_on_is_there_until_the_caller_decides() {
    let store = store().await;
    let member = scope(&WALLET, None, None);
    let switches = over(&store);
    assert_eq!(switches.load(&WALLET).await, Ok(false));
    switches.restore(&WALLET, &[id(0), id(1)]);
    assert_eq!(switches.enabled(&member), [id(0), id(1)]);
    assert_eq!(over(&store).load(&WALLET).await, Ok(false), "nothing was decided yet");
    switches.disable(&member, &id(1)).await.unwrap();
    let after = over(&store);
    assert_eq!((after.load(&WALLET).await, after.enabled(&member)), (Ok(true), vec![id(0)]));
}

#[tokio::test]
async fn a_scope_with_all_the_servers_it_may_have_takes_no_more() {
    let switches = over(&store().await);
    let member = scope(&WALLET, None, None);
    let all: Vec<ServerId> = (0..MAX_ENABLED).map(id).collect();
    switches.restore(&WALLET, &all);
    assert_eq!(switches.enable(&member, &id(MAX_ENABLED)).await, Err(NotSwitched::TooMany));
    assert_eq!(switches.enable(&member, &id(0)).await, SAME);
    switches.disable(&member, &id(0)).await.unwrap();
    assert_eq!(switches.enable(&member, &id(MAX_ENABLED)).await, ON);
}

#[tokio::test]
async fn two_gateways_worth_of_changes_do_not_lose_the_row() {
    let store = store().await;
    let member = scope(&WALLET, None, None);
    let (one, two) = (over(&store), over(&store));
    one.load(&WALLET).await.unwrap();
    two.load(&WALLET).await.unwrap();
    one.enable(&member, &id(0)).await.unwrap();
    // The row is newer than this one thinks: it writes again over what is there.
    assert_eq!(two.enable(&member, &id(1)).await, ON);
    let after = over(&store);
    after.load(&WALLET).await.unwrap();
    assert_eq!(after.enabled(&member), [id(1)]);
}

#[tokio::test]
async fn whoever_listens_hears_what_makes_a_difference_in_its_scope() {
    let switches = over(&store().await);
    let (member, session) = (scope(&WALLET, None, None), scope(&WALLET, None, Some("s")));
    switches.enable(&session, &id(0)).await.unwrap();
    let (mut wide, mut narrow) = (switches.changes(&member), switches.changes(&session));
    let mut again = switches.changes(&member);
    assert_eq!((&**wide.borrow_and_update(), &**narrow.borrow_and_update()), (&[][..], &[id(0)][..]));
    switches.enable(&member, &id(1)).await.unwrap();
    assert!(wide.has_changed().unwrap() && again.has_changed().unwrap());
    assert!(!narrow.has_changed().unwrap(), "it goes its own way");
    assert_eq!((&**wide.borrow_and_update(), &**again.borrow_and_update()), (&[id(1)][..], &[id(1)][..]));
    switches.enable(&member, &id(1)).await.unwrap();
    switches.enable(&scope(&OTHER, None, None), &id(2)).await.unwrap();
    assert!(!wide.has_changed().unwrap());
    drop((wide, again, narrow));
    switches.disable(&member, &id(1)).await.unwrap();
    assert!(switches.watchers.lock().unwrap().of.is_empty(), "nobody listens any more");
}
