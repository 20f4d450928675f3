package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"lookout/bot"
)

// slotCount is how many parts the people are dealt into. Everything of one
// patient carries the hash tag of her slot, so that it lies on one server of a
// Cluster and one script may change it whole. The number is part of the format:
// another one would look for everybody in the wrong place.
const slotCount = 128

// schema is the number of this format; a server whose schema key holds a larger
// one was written by a newer lookout.
const schema = 2

// clearSchema is the number of the format in the clear, which lookouts that know
// no encryption read too.
const clearSchema = 1

// slot is one part of the people: its hash tag stands in the name of every key.
type slot int

// slotOf deals a name (a patient's id, an address, an idempotency key, …) to a slot.
func slotOf(name string) slot {
	sum := uint32(2166136261) // FNV-1a, of 32 bits
	for i := range len(name) {
		sum = (sum ^ uint32(name[i])) * 16777619
	}
	return slot((sum ^ sum>>16) % slotCount)
}

// slotTags are ":{s042}:" of each slot.
var slotTags = func() (tags [slotCount]string) {
	for s := range tags {
		tags[s] = fmt.Sprintf(":{s%03d}:", s)
	}
	return tags
}()

// keys names every key that the store has, and nothing else names one. The form
// is PREFIX:{s042}:NAME; the types are Redis's. Times are milliseconds since 1970
// in UTC; JSON is that of package bot. NUL divides what people may have written.
type keys struct{ prefix string }

func (k keys) in(s slot, name string) string {
	return k.prefix + slotTags[s] + name
}

// Of one patient, in her slot.

// record: string "VERSION LIVE\nJSON". LIVE is the numbers of her rows that are not closed, with commas.
func (k keys) record(p string) string { return k.in(slotOf(p), "p:"+p) }

// journal: list of JSON entries, only ever appended to; an entry's Seq is its place, from 1.
func (k keys) journal(p string) string { return k.in(slotOf(p), "j:"+p) }

// rows: hash; N → JSON of her row N, N:q → "PLACE MEMBER": in which list of the queue it stands, and as what.
func (k keys) rows(p string) string { return k.in(slotOf(p), "r:"+p) }

// messages: hash; N → JSON of her message N as it was committed, N:c → the carrier's id, N:e → the carrier's code,
// N:s → "STATE FENCE ATTEMPTS LEASE UNSETTLED NOTBEFORE ORDER SETTLED CHANNEL RECIPIENT".
func (k keys) messages(p string) string { return k.in(slotOf(p), "o:"+p) }

// done: hash; idempotency key → "done", or "bar G": a commit with a claim of the key up to the Gth is refused.
func (k keys) done(p string) string { return k.in(slotOf(p), "k:"+p) }

// Of all patients of a slot.

// who: hash; patient → JSON of how she is found (type who).
func (k keys) who(s slot) string { return k.in(s, "who") }

// index: sorted set, all scores 0: members in order of their bytes, see type who.
func (k keys) index(s slot) string { return k.in(s, "index") }

// cards: hash; patient → the parts of her name, sealed, where the store is: a member of index then says too little.
func (k keys) cards(s slot) string { return k.in(s, "cards") }

// due: sorted set; patient → her earliest wake.
func (k keys) due(s slot) string { return k.in(s, "due") }

// services: set of the services that its patients belong to.
func (k keys) services(s slot) string { return k.in(s, "services") }

// queue: sorted set of one service's rows in one state; "OPENED:ROW" → level and due time (queueScore), or the closing time.
func (k keys) queue(s slot, service string, state bot.RowState) string {
	return k.in(s, "q:"+service+":"+string(state))
}

// ready: sorted set; "RECIPIENT:MESSAGE" → ORDER: what may leave, in the order in which it shall.
func (k keys) ready(s slot, channel string) string { return k.in(s, "out:"+channel) }

// later: sorted set; "ORDER RECIPIENT:MESSAGE" → when to look at it again: its NotBefore, or its lease's end.
func (k keys) later(s slot, channel string) string { return k.in(s, "later:"+channel) }

// unsettled: sorted set; message → when it may leave: for counting.
func (k keys) unsettled(s slot) string { return k.in(s, "unsettled") }

// audit: sorted set; "SEQ MICROSECONDS JSON" → SEQ: entries on their way to the one log of all (gathered).
func (k keys) audit(s slot) string { return k.in(s, "audit") }

// counters: hash; "audit" → the last SEQ of the slot: one more than that before it, and no less than the server's microseconds
// since 1970, so that after a fail-over that lost some no number comes again that the log has seen.
func (k keys) counters(s slot) string { return k.in(s, "n") }

// leavings: hash; "PATIENT@VERSION" → JSON of what must still be taken out of other slots (type leavings).
func (k keys) leavings(s slot) string { return k.in(s, "leavings") }

// unsaid: hash; patient → "FROM VERSION": what she said from the entry FROM of her journal on is not entered yet where it is
// looked up by its words (said), or not wholly; her change to VERSION noted it last.
func (k keys) unsaid(s slot) string { return k.in(s, "unsaid") }

// markBeside: string "1", beside any key; written for the sake of being written, before replicas are waited for (await).
func markBeside(key string) string { return key[:strings.Index(key, "}:")+1] + ":mark" }

// Found by something that is not a patient's id, each in the slot of that.

// at: hash; patient → "PLACE VERSION": who came to have the address (as it is looked up, blindAt), in which order, and by her which version.
// It is written before her record and may say too much: her record decides.
func (k keys) at(service string, a bot.Address) string {
	name := service + "\x00" + a.Channel + "\x00" + a.At
	return k.in(slotOf(name), "at:"+name)
}

// claims: hash; idempotency key → "G PATIENT": the Gth claim of the key was for that patient.
func (k keys) claims(key string) string { return k.in(slotOf(key), "keys") }

// said: sorted set; patient → the day, since 1970, on which she last said a word of the mark (see package vault). It is written
// after a commit, as unsaid notes, and may say too much: her journal decides.
func (k keys) said(service string, mark uint32) string {
	name := service + "\x00" + strconv.FormatUint(uint64(mark), 10)
	return k.in(slotOf(name), "said:"+name)
}

// held: hash; recipient → "UNTIL MESSAGE": nothing but that message may leave for the recipient until then.
func (k keys) held(channel, recipient string) string { return k.in(slotOf(recipient), "held:"+channel) }

// carrier: hash; the carrier's id → message. The message decides whether it is so.
func (k keys) carrier(id string) string { return k.in(slotOf(id), "carrier") }

// values: hash; key → "EXPIRES\nVALUE", 0: never. A drawer lies in all slots, a value in that of its name.
func (k keys) values(s slot, drawer string) string { return k.in(s, "values:"+drawer) }

// drawers: set of the drawers that ever had a value in the slot.
func (k keys) drawers(s slot) string { return k.in(s, "drawers") }

// expires: sorted set; name of a value (valueName) → when it expires.
func (k keys) expires(s slot) string { return k.in(s, "expires") }

// valueName is "N:DRAWERKEY", N the drawer's length in bytes.
func valueName(drawer, key string) string { return strconv.Itoa(len(drawer)) + ":" + drawer + key }

func splitValueName(name string) (drawer, key string) {
	n, rest, _ := strings.Cut(name, ":")
	at := min(int(atoi(n)), len(rest))
	return rest[:at], rest[at:]
}

// Of the whole store, in one place.

func (k keys) whole(name string) string { return k.prefix + ":{whole}:" + name }

// format: string, the number of the format (schema).
func (k keys) format() string { return k.whole("schema") }

// mended: string, the run ids of the servers of a Cluster for which what leads to people was looked over.
func (k keys) mended() string { return k.whole("mended") }

// sealing: string, JSON of how the store is kept (vault.State). Where it is encrypted, JSON is sealed by package vault (but that of
// who, leavings and hints, which names nobody), the keys of values are its names, and addresses, recipients and members of the
// index are what it looks up by.
func (k keys) sealing() string { return k.whole("sealing") }

// probe: string, written and read back by the checks.
func (k keys) probe() string { return k.whole("probe") }

// log: list of JSON audit entries; an entry's Seq is 10,000 times the chunk's number, and its place in it, from 1.
func (k keys) log(chunk int64) string { return k.whole("audit:" + strconv.FormatInt(chunk, 10)) }

// gathered: hash; slot → the last SEQ of it that is in the log, "n" → how many entries the log has.
func (k keys) gathered() string { return k.whole("gathered") }

// pace: string, with an expiry of seconds; where a sender stands in its carrier's rate. (redis_rate puts "rate:" before it.)
func (k keys) pace(sender string) string { return k.whole("pace:" + sender) }

// hints is the channel on which a change is told; it is no key, and nothing is kept there.
func (k keys) hints() string { return k.prefix + ":hints" }
