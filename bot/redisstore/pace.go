package redisstore

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"lookout/bot"
)

var _ bot.Pace = (*Store)(nil)

// Pass is bot.Pace, by the servers' own clock. Its script touches one key.
func (s *Store) Pass(ctx context.Context, sender string, perSecond float64, n int) (time.Duration, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	var limiter *redis_rate.Limiter
	if s.servers.single != nil {
		limiter = redis_rate.NewLimiter(s.servers.single)
	} else {
		limiter = redis_rate.NewLimiter(s.servers.cluster)
	}
	limit := redis_rate.Limit{Rate: 1, Period: time.Duration(float64(time.Second) / perSecond), Burst: max(1, n, int(perSecond))}
	result, err := limiter.AllowN(ctx, s.keys.pace(sender), limit, n)
	if err != nil {
		return 0, unavailable(err)
	}
	if result.Allowed < n {
		return max(time.Millisecond, result.RetryAfter), nil
	}
	return 0, nil
}
