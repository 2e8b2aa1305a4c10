//! The loop: events from the terminal and answers from the workers go in, frames go out. Nothing is drawn while nothing changes.

use super::app::{App, Ask, Event};
use super::live::LEAVING;
use super::options::Options;
use super::terminal::Screen;
use super::{event, settings};
use crate::case::Keeper;
use crate::error::{Error, Result};
use crate::ingest::Live;
use crate::query::Engine;
use crossbeam_channel::{Receiver, RecvTimeoutError, select};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a frame waits for the first answers after a step: one full frame then shows them all, instead of three.
const GRACE: Duration = Duration::from_millis(80);
/// How long answers are gathered while they stream in.
const GATHER: Duration = Duration::from_millis(25);

/// Runs the workbench in this terminal until the responder leaves or the terminal is gone.
pub fn run(engine: Arc<dyn Engine>, keeper: Arc<dyn Keeper>, options: Options) -> Result<()> {
    let live = options.live.clone();
    let (depth, charset, escape_ms) = (options.depth, options.charset, settings::escape_ms(options.escape_ms));
    let mut app = App::new(engine, keeper, options)?;
    let (sender, input) = crossbeam_channel::unbounded();
    event::spawn_input(sender, escape_ms).map_err(|err| Error::internal(format!("the terminal cannot be read: {err}")))?;
    let mut screen = Screen::enter(depth, charset)?;
    let answers = app.answers().clone();
    let ended = turn(&mut app, &mut screen, &input, &answers);
    // Kept before the terminal is given back: a hangup may end the process at any moment.
    app.close();
    screen.leave();
    // The line may have dropped: what runs is ended as if it had been asked to.
    if let Some(live) = live.filter(Live::is_running) {
        live.stop();
        live.wait(LEAVING);
    }
    ended
}

fn turn(
    app: &mut App,
    screen: &mut Screen,
    input: &Receiver<event::InputEvent>,
    answers: &Receiver<super::jobs::Answer>,
) -> Result<()> {
    let (changes, news) = (app.live_changes(), app.news_changes());
    // Until when a frame that is due may wait for answers.
    let mut hold: Option<Instant> = Some(Instant::now() + GRACE);
    while !app.is_over() {
        // While the terminal takes nothing no frame is made; everything else goes on.
        let due = app.is_dirty() && screen.is_free();
        let waits = hold.filter(|_| due && app.expects_rows()).map(|until| until.saturating_duration_since(Instant::now()));
        if due && waits.is_none_or(|w| w.is_zero()) {
            screen.draw(|frame| app.draw(frame))?;
            hold = None;
        }
        let wait = if due && app.is_dirty() { waits.unwrap_or(GATHER) } else { Duration::from_secs(3600) };
        let event = select! {
            recv(input) -> event => match event {
                Ok(event) => Some(Event::Input(event)),
                Err(_) => break,
            },
            recv(answers) -> answer => answer.ok().map(Event::Answer),
            recv(changes) -> change => change.ok().map(|()| Event::Live),
            recv(news) -> change => change.ok().map(|()| Event::News),
            recv(screen.freed()) -> _ => None,
            default(wait) => None,
        };
        let Some(event) = event else { continue };
        let typed = matches!(event, Event::Input(_));
        app.handle(event);
        drain(app, input, answers)?;
        for ask in app.take_asks() {
            match ask {
                Ask::Send(bytes) => {
                    if !screen.send(bytes)? {
                        app.say("not copied: the terminal takes nothing at the moment");
                    }
                }
                Ask::Run(path, handed) => {
                    app.save_now();
                    match screen.lend(&path, &handed)? {
                        Ok(said) => app.say(said),
                        Err(err) => app.fail(err),
                    }
                }
                Ask::Redraw => screen.resume()?,
                Ask::Suspend => {
                    app.save_now();
                    if !screen.suspend()? {
                        app.say("there is no shell to go back to");
                    }
                }
            }
        }
        if typed {
            hold = Some(Instant::now() + GRACE);
        } else if hold.is_none() {
            hold = Some(Instant::now() + GATHER);
        }
    }
    Ok(())
}

/// Takes everything that is there already, so that a burst costs one frame.
fn drain(app: &mut App, input: &Receiver<event::InputEvent>, answers: &Receiver<super::jobs::Answer>) -> Result<()> {
    for _ in 0..10_000 {
        if let Ok(event) = input.try_recv() {
            app.handle(Event::Input(event));
        } else {
            match answers.recv_timeout(Duration::ZERO) {
                Ok(answer) => app.handle(Event::Answer(answer)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        if app.is_over() {
            break;
        }
    }
    Ok(())
}
