package content

import (
	"strconv"
	"strings"

	"lookout/flows"
)

// Choices are the placeholders that list the options of a question, each with a
// number: {choices} on one line, {list} on a line for each, where there is room. The
// number, the words, or the option's key answers.
func Choices(options []flows.Option, locale string) map[string]string {
	if len(options) == 0 {
		return nil
	}
	last := " or "
	welsh := strings.HasPrefix(locale, "cy")
	if welsh {
		last = " neu "
	}
	var line, list strings.Builder
	for i, o := range options {
		label := o.Label
		if welsh && o.Welsh != "" {
			label = o.Welsh
		}
		label = strconv.Itoa(i+1) + " " + label
		switch i {
		case 0:
		case len(options) - 1:
			line.WriteString(last)
		default:
			line.WriteString(", ")
		}
		line.WriteString(label)
		list.WriteString("\n" + label)
	}
	return map[string]string{"choices": line.String(), "list": list.String()}
}
