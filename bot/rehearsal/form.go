package rehearsal

import (
	"fmt"
	"strings"

	"lookout/bot"
)

// beside names the words that come with a form, where its answers stand.
const beside = "beside"

// parseForm reads what is filled in of a form: "told: fully / contact: no / beside: my hip
// hurts". Each answer names the step that asks; one of another flow, with it.
func parseForm(text string) (answers []bot.FormAnswer, words string, err error) {
	for one := range strings.SplitSeq(text, " / ") {
		step, says, ok := strings.Cut(one, ": ")
		if !ok || step == "" || strings.TrimSpace(says) == "" {
			return nil, "", fmt.Errorf("%q is no answer of a form: write it like told: fully / contact: no", one)
		}
		if step == beside {
			words = says
			continue
		}
		answers = append(answers, bot.FormAnswer{Question: step, Text: says})
	}
	return answers, words, nil
}

// whole gives a question its flow, where only its step is named.
func whole(step, like string) string {
	if strings.Contains(step, "/") {
		return step
	}
	flow, _, _ := strings.Cut(like, "/")
	return flow + "/" + step
}
