package transposition

import "encoding/json"

// number reads an integer as encoding/json decodes it with UseNumber.
func number(value any) (int64, bool) {
	literal, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	integer, err := literal.Int64()
	return integer, err == nil
}
