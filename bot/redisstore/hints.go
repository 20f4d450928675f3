package redisstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"lookout/bot"
)

// telling is a hint on its way between processes. It names ids only.
type telling struct {
	From string   `json:"from"`
	Hint bot.Hint `json:"hint"`
}

// Tell passes a hint on to the other processes that share the store. What comes
// faster than it can be passed on is dropped.
func (s *Store) Tell(hint bot.Hint) {
	select {
	case s.told <- hint:
	default:
	}
}

// keepTelling passes hints on until ctx ends, several at once when they come fast.
func (s *Store) keepTelling(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hint := <-s.told:
			publish := []*command{s.publish(hint)}
			for len(publish) < maxBatch && len(s.told) > 0 {
				publish = append(publish, s.publish(<-s.told))
			}
			if err := s.servers.run(ctx, false, publish); err != nil {
				s.options.Log.DebugContext(ctx, "hints were lost", "hints", len(publish), "err", err)
			}
		}
	}
}

func (s *Store) publish(hint bot.Hint) *command {
	text, _ := json.Marshal(telling{s.self, hint}) // strings and numbers
	return plain("publish", s.keys.hints(), text)
}

const (
	hearAgain  = 500 * time.Millisecond // after a connection that could not be had
	hearHealth = 3 * time.Second        // a connection that says nothing is asked so often whether it is there
)

// Listen calls heard with what the other processes tell, until ctx ends, and
// with the zero Hint whenever it has had no connection in between.
func (s *Store) Listen(ctx context.Context, heard func(bot.Hint)) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	var sub *redis.PubSub
	if s.servers.single != nil {
		sub = s.servers.single.Subscribe(ctx, s.keys.hints())
	} else {
		sub = s.servers.cluster.Subscribe(ctx, s.keys.hints()) // a Cluster tells all its servers
	}
	leave()
	defer sub.Close()
	subscribed := 0
	events := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(hearHealth), redis.WithChannelSize(1024))
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			if !ok {
				if ctx.Err() != nil || pause(ctx, hearAgain) != nil {
					return nil
				}
				return s.Listen(ctx, heard)
			}
			switch event := event.(type) {
			case *redis.Subscription:
				if subscribed++; subscribed > 1 {
					heard(bot.Hint{})
				}
			case *redis.Message:
				var t telling
				if json.Unmarshal([]byte(event.Payload), &t) == nil && t.From != s.self {
					heard(t.Hint)
				}
			}
		}
	}
}
